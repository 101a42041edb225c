// SPDX-License-Identifier: Apache-2.0
/*
 * The kubeconfig with which the plugin asks about pods (proxy-contract §10.3): the installer's own service account. Written as JSON,
 * which is YAML too, so that the plugin needs no YAML parser. The token is in it, so it must not be readable by others.
 */
import { Buffer } from 'node:buffer';

/** What goes into it. */
export interface KubeconfigParts {
  /** `https://host:port`. */
  readonly server: string;
  /** PEM; undefined: the system's own. */
  readonly ca: string | undefined;
  readonly token: string;
}

/** Readable by root alone. */
export const KUBECONFIG_MODE = 0o600;

/** The text of the file. */
export function kubeconfigText({ server, ca, token }: KubeconfigParts): string {
  return `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'local',
          cluster: { server, ...(ca === undefined ? {} : { 'certificate-authority-data': Buffer.from(ca).toString('base64') }) },
        },
      ],
      users: [{ name: 'linkerd-cni', user: { token } }],
      contexts: [{ name: 'linkerd-cni-context', context: { cluster: 'local', user: 'linkerd-cni' } }],
      'current-context': 'linkerd-cni-context',
    },
    undefined,
    2,
  )}\n`;
}
