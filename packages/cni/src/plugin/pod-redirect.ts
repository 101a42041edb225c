// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a pod is meshed and which rules it gets (proxy-contract §10.2). Pure: pod, namespace and configuration in, options out.
 */
import type { RedirectOptions } from '@weft/redirect';
import type { Namespace, Pod, Service } from '@weft/resources';
import { CNI_CODES, CniError } from './cni-error.ts';
import type { RedirectConfig } from './network-config.ts';

const PROXY_CONTAINER = 'linkerd-proxy';
const INIT_CONTAINER = 'linkerd-init';
/** Pods of the control plane come up before its proxies can answer, so they reach the API server directly. */
const COMPONENT_LABEL = 'linkerd.io/control-plane-component';
const PREFIX = 'config.linkerd.io/';

/** Where the API server listens when Service `default/kubernetes` cannot be read. */
export const DEFAULT_API_SERVER_PORTS: readonly string[] = ['443', '6443'];

/** Annotations that an injector writes on every pod it meshes (control-contract §4.4). */
const INJECTED_MARKS: readonly string[] = ['linkerd.io/created-by', 'linkerd.io/proxy-version', 'linkerd.io/trust-root-sha256'];

/** Why a pod gets no rules; undefined for one that does. */
export function skipReason(pod: Pod): string | undefined {
  const spec = pod.spec;
  const containers = [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])];
  if (spec?.hostNetwork === true) return 'it uses the network of the host';
  if (!containers.some(({ name }) => name === PROXY_CONTAINER)) return `it has no ${PROXY_CONTAINER} container`;
  if ((spec?.initContainers ?? []).some(({ name }) => name === INIT_CONTAINER)) return `its ${INIT_CONTAINER} container sets the rules`;
  return undefined;
}

/** Whether annotations alone show that no injector touched the pod: good enough only when nobody can be asked. */
export function looksUnmeshed(annotations: Readonly<Record<string, string>> | undefined): boolean {
  return annotations !== undefined && !INJECTED_MARKS.some((mark) => Object.hasOwn(annotations, mark));
}

/** Whether the pod needs the ports of the API server left alone. */
export function isControlPlane(pod: Pod): boolean {
  return Object.hasOwn(pod.metadata.labels, COMPONENT_LABEL);
}

/** Ports of the API server: those of Service `default/kubernetes` and the numbers behind them. */
export function apiServerPorts(service: Service | undefined): readonly string[] {
  const ports = new Set<string>();
  for (const { port, targetPort } of service?.spec?.ports ?? []) {
    ports.add(String(port));
    if (typeof targetPort === 'number') ports.add(String(targetPort));
  }
  return ports.size === 0 ? DEFAULT_API_SERVER_PORTS : [...ports];
}

/** The rules of a meshed pod; `apiPorts` only for one of the control plane. Throws CniError for an annotation that cannot be honoured. */
export function redirectOptions(
  pod: Pod,
  namespace: Pick<Namespace, 'metadata'>,
  config: RedirectConfig,
  apiPorts: readonly string[],
  netns: string,
): RedirectOptions {
  const annotation = (name: string): string | undefined =>
    own(pod.metadata.annotations, PREFIX + name) ?? own(namespace.metadata.annotations, PREFIX + name);
  const list = (name: string): string[] | undefined =>
    annotation(name)
      ?.split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '');
  const id = (name: string): number | undefined => {
    const text = annotation(name);
    if (text === undefined) return undefined;
    if (!/^\d{1,10}$/.test(text.trim()))
      throw new CniError(CNI_CODES.redirect, `annotation ${PREFIX}${name} of pod or namespace: ${JSON.stringify(text)} is not a number`);
    return Number(text);
  };
  const proxyGid = id('proxy-gid') ?? config.proxyGid;
  return {
    incomingProxyPort: config.incomingProxyPort,
    outgoingProxyPort: config.outgoingProxyPort,
    proxyUid: id('proxy-uid') ?? config.proxyUid,
    ...(proxyGid === undefined ? {} : { proxyGid }),
    portsToRedirect: config.portsToRedirect,
    // What the configuration lists are the proxy's own ports: they stay whatever a pod says.
    inboundPortsToIgnore: [...config.inboundPortsToIgnore, ...(list('skip-inbound-ports') ?? [])],
    outboundPortsToIgnore: [...(list('skip-outbound-ports') ?? config.outboundPortsToIgnore), ...apiPorts],
    subnetsToIgnore: list('skip-subnets') ?? config.subnetsToIgnore,
    netns,
    useWaitFlag: config.useWaitFlag,
    ...(config.mode === undefined ? {} : { mode: config.mode }),
    ipv6: config.ipv6,
  };
}

function own(annotations: Readonly<Record<string, string>>, key: string): string | undefined {
  return Object.hasOwn(annotations, key) ? annotations[key] : undefined;
}
