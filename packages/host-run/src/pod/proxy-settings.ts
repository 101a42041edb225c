// SPDX-License-Identifier: Apache-2.0
/*
 * What a run's proxies have in common, and the numbers that users' files and the other implementation name (proxy-contract §1, §10.1;
 * control-contract §4.3 to §4.5).
 */

/** Ports, users and names that do not change. */
export const INBOUND_PORT = 4143;
export const OUTBOUND_PORT = 4140;
export const CONTROL_PORT = 4190;
export const ADMIN_PORT = 4191;
export const PROXY_UID = 2102;
export const CONTROLLER_UID = 2103;
export const PROXY_CONTAINER = 'linkerd-proxy';
export const CONTROL_NAMESPACE = 'linkerd';
/** Ports that are opaque unless annotated. */
export const DEFAULT_OPAQUE_PORTS = '25,587,3306,4444,5432,6379,9300,11211';
export const CLUSTER_NETWORKS = '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8';
/** Ignored by the redirection unless annotated (proxy-contract §10.1). */
export const DEFAULT_IGNORED_PORTS = '4567,4568';

/** Identity of `weft tap`. */
export function tapIdentity(trustDomain: string): string {
  return `weft-tap.${CONTROL_NAMESPACE}.serviceaccount.identity.${CONTROL_NAMESPACE}.${trustDomain}`;
}

/** How the proxies of a run are started and whom they trust. */
export interface ProxySettings {
  /** The proxy's command line. */
  readonly command: readonly string[];
  readonly trustAnchorsPem: string;
  readonly trustDomain: string;
  readonly clusterDomain: string;
  /** Directory in which each pod has its own, named by uid: `identity/` and `token`. */
  readonly podsDirectory: string;
  /** Extra environment for every proxy, for tests. */
  readonly extraEnv: Readonly<Record<string, string>>;
}
