// SPDX-License-Identifier: Apache-2.0
/*
 * The authority form of an outbound target (control-contract §3.3): `<name>.<namespace>.svc[.…][:port]`. Only the first three labels are
 * looked at, a port that is not one counts as 80, and whether such a Service exists is not asked. Labels must be DNS labels: the discovery
 * path is built from them, and a proxy must never be sent one that is not a DNS name (proxy-contract §5.5).
 */
import { parsePort } from './port-set.ts';

export interface ServiceAuthority {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
}

/** The port where an authority names none (RFC 9110 §4.2.1). */
const DEFAULT_PORT = 80;

const DNS_LABEL = /^[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?$/;

/** `not-an-authority`: not even URI syntax; `not-a-service`: not the name of a Service. */
export type AuthorityError = 'not-an-authority' | 'not-a-service';

/** Reads the Service and port out of an authority. */
export function parseServiceAuthority(text: string, clusterDomain: string): ServiceAuthority | AuthorityError {
  const hostPort = text.slice(text.lastIndexOf('@') + 1);
  if (!/^[A-Za-z0-9._~!$&'()*+,;=%:[\]-]+$/.test(hostPort)) return 'not-an-authority';
  if (hostPort.startsWith('[')) return 'not-a-service';
  const colon = hostPort.indexOf(':');
  const host = withoutTrailingDots(colon < 0 ? hostPort : hostPort.slice(0, colon));
  const suffix = `.${clusterDomain}`;
  const [name, namespace, svc, ...rest] = (host.endsWith(suffix) ? host.slice(0, -suffix.length) : host).split('.');
  if (name === undefined || namespace === undefined || svc !== 'svc' || rest.includes('')) return 'not-a-service';
  if (!DNS_LABEL.test(name) || !DNS_LABEL.test(namespace)) return 'not-a-service';
  const port = colon < 0 ? undefined : parsePort(hostPort.slice(colon + 1));
  return { namespace, name, port: port ?? DEFAULT_PORT };
}

function withoutTrailingDots(host: string): string {
  let end = host.length;
  while (end > 0 && host[end - 1] === '.') end -= 1;
  return host.slice(0, end);
}
