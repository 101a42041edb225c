// SPDX-License-Identifier: Apache-2.0
/*
 * What the DaemonSet says in the environment of the installer (proxy-contract §10.3), read once at start.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { POD_ANNOTATIONS_CAPABILITY } from '../plugin/network-config.ts';
import type { PluginEntry } from './conflist.ts';
import { ownLibraries } from './portable-executable.ts';

/** Where everything is and goes. */
export interface InstallerSettings {
  /** Where the host's tree is mounted here; '' when this runs on the host itself. */
  readonly mountPrefix: string;
  /** Paths of the host. */
  readonly netDir: string;
  readonly binDir: string;
  readonly kubeconfigName: string;
  /** Directory here that holds the plugin's executable. */
  readonly sourceDir: string;
  /** Name of the executable in `sourceDir`. On the host it is the `type` of the entry. */
  readonly sourceName: string;
  readonly entry: PluginEntry;
  /** Paths here of the libraries that the executable needs; none: those of the host have to do. */
  readonly libraries: readonly string[];
  readonly server: string;
  /** File here with the API server's CA. */
  readonly caFile: string;
  /** Directory here with the service account's token. */
  readonly serviceAccountDir: string;
  /** Leave everything in place when only this pod ends, not its DaemonSet. */
  readonly keepsOnRestart: boolean;
  readonly daemonSetName: string;
}

/** Where Kubernetes mounts a service account. */
export const SERVICE_ACCOUNT_DIR = '/var/run/secrets/kubernetes.io/serviceaccount';

type Environment = Readonly<Record<string, string | undefined>>;

/** Reads the environment, and the template's file where it is in one. Rejects with an Error for the operator. */
export async function readSettings(env: Environment): Promise<InstallerSettings> {
  const value = (name: string, fallback: string): string => {
    const given = env[name];
    return given === undefined || given === '' ? fallback : given;
  };
  const netDir = value('DEST_CNI_NET_DIR', '/etc/cni/net.d');
  const kubeconfigName = value('KUBECONFIG_FILE_NAME', 'ZZZ-linkerd-cni-kubeconfig');
  const serviceAccountDir = value('SERVICE_ACCOUNT_PATH', SERVICE_ACCOUNT_DIR);
  const template = await readTemplate(env);
  const entry = parseTemplate(
    template
      .replaceAll('__KUBECONFIG_FILEPATH__', jsonInside(join(netDir, kubeconfigName)))
      .replaceAll('__KUBECONFIG_FILENAME__', jsonInside(kubeconfigName))
      .replaceAll('__CNI_NET_DIR__', jsonInside(netDir)),
  );
  const host = value('KUBERNETES_SERVICE_HOST', '');
  if (host === '') throw new Error('KUBERNETES_SERVICE_HOST is not set: this has to run in a pod');
  const scheme = value('KUBERNETES_SERVICE_PROTOCOL', 'https');
  return {
    mountPrefix: env['CONTAINER_MOUNT_PREFIX'] ?? '/host',
    netDir,
    binDir: value('DEST_CNI_BIN_DIR', '/opt/cni/bin'),
    kubeconfigName,
    sourceDir: value('CONTAINER_CNI_BIN_DIR', '/opt/cni/bin'),
    sourceName: value('WEFT_CNI_EXECUTABLE', 'weft-cni'),
    entry,
    libraries: value('WEFT_CNI_HOST_LIBRARIES', 'false') === 'true' ? [] : ownLibraries(),
    server: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${value('KUBERNETES_SERVICE_PORT', '443')}`,
    caFile: value('KUBE_CA_FILE', join(serviceAccountDir, 'ca.crt')),
    serviceAccountDir,
    keepsOnRestart: value('WEFT_CNI_KEEP_ON_RESTART', 'true') !== 'false',
    daemonSetName: value('WEFT_CNI_DAEMONSET_NAME', 'linkerd-cni'),
  };
}

async function readTemplate(env: Environment): Promise<string> {
  const file = env['CNI_NETWORK_CONFIG_FILE'];
  if (file !== undefined && file !== '') return readFile(file, 'utf8');
  const text = env['CNI_NETWORK_CONFIG'];
  if (text === undefined || text === '')
    throw new Error('neither CNI_NETWORK_CONFIG nor CNI_NETWORK_CONFIG_FILE is set: there is nothing to install');
  return text;
}

function parseTemplate(text: string): PluginEntry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new Error(`CNI_NETWORK_CONFIG is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) throw new Error('CNI_NETWORK_CONFIG is not an object');
  // The version is the list's to say.
  const { cniVersion: _version, capabilities, ...rest } = parsed as Readonly<Record<string, unknown>>;
  const type = rest['type'];
  if (typeof type !== 'string' || !/^[\w.-]+$/.test(type))
    throw new Error('CNI_NETWORK_CONFIG has no usable type: it should be linkerd-cni');
  // With the annotations the plugin can let pods pass that are not meshed while the API server is away.
  return { ...rest, type, capabilities: { ...(capabilities as object | undefined), [POD_ANNOTATIONS_CAPABILITY]: true } };
}

/** The text as it stands between quotes in JSON. */
function jsonInside(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
