// SPDX-License-Identifier: Apache-2.0
/*
 * What all routes share (control-contract §3.5): their parents, and the annotations that set retries and timeouts. A route all of whose
 * parents are someone else's (an ingress Gateway) is none of the mesh's business.
 */
import { isPort, parseGrpcRetry, parseHttpRetry, parseTimeouts, routeParent, type RouteParent } from '@weft/policy-controller/syntax';
import type { Field } from '../field.ts';

/** A Server, Service or EgressNetwork that a route names, and where. */
export interface MeshParent {
  readonly field: Field;
  readonly parent: RouteParent;
}

/** The parents of a route that are the mesh's. Names and kinds of others are read, and no more. */
export function readMeshParents(spec: Field, namespace: string): MeshParent[] {
  const parents: MeshParent[] = [];
  for (const field of spec.get('parentRefs').items()) {
    if (!field.isObject()) continue;
    const name = field.get('name').requiredText();
    const group = field.get('group').text();
    const kind = field.get('kind').text();
    const ownNamespace = field.get('namespace').text();
    const port = field.get('port').integer(0, 65_535);
    const sectionName = field.get('sectionName').text();
    if (name === undefined || kind === undefined) continue;
    const parent = routeParent(
      {
        name,
        kind,
        ...(group === undefined ? {} : { group }),
        ...(ownNamespace === undefined ? {} : { namespace: ownNamespace }),
        ...(port === undefined ? {} : { port }),
        ...(sectionName === undefined ? {} : { sectionName }),
      },
      namespace,
    );
    if (parent !== undefined) parents.push({ field, parent });
  }
  return parents;
}

/** Reviews the parents of a route of `namespace`. */
export function reviewParents(parents: readonly MeshParent[], namespace: string): void {
  for (const { field, parent } of parents) {
    if (parent.kind === 'EgressNetwork' && (parent.port === undefined || !isPort(parent.port))) {
      field.refuse('cannot target an EgressNetwork without specifying a port; add port');
    }
    if (parent.kind !== 'Server') continue;
    if (parent.namespace !== namespace || parent.port !== undefined || parent.sectionName !== undefined) {
      field.warn('a Server parent must be in the namespace of the route and without port and sectionName; the route has no effect on it');
    }
  }
}

/** Reviews the annotations that matter to outbound routes, where a parent is one. */
export function reviewOutboundAnnotations(metadata: Field, parents: readonly MeshParent[], protocol: 'http' | 'grpc'): void {
  if (!parents.some(({ parent }) => parent.kind !== 'Server')) return;
  const field = metadata.get('annotations');
  const retry = ['limit', 'timeout', protocol].map((name) => `retry.linkerd.io/${name}`);
  const timeout = ['request', 'response', 'idle'].map((name) => `timeout.linkerd.io/${name}`);
  // One by one, so that the message names the annotation.
  for (const name of [...retry, ...timeout]) {
    const text = field.get(name).text();
    if (text === undefined) continue;
    const one = { [name]: text };
    const parsed = [protocol === 'http' ? parseHttpRetry(one) : parseGrpcRetry(one), parseTimeouts(one)].find(({ ok }) => !ok);
    if (parsed?.ok === false) {
      field.findings.rule(`metadata.annotations["${name}"]`, `${parsed.reason}; ${REMEDIES[name] ?? DURATION_REMEDY}`);
    }
  }
}

const DURATION_REMEDY = 'write a whole number with a unit: ms, s, m, h or d';
const REMEDIES: Readonly<Record<string, string>> = {
  'retry.linkerd.io/limit': 'write a whole number from 0 to 65535',
  'retry.linkerd.io/http': "write a comma list without spaces of '5xx', 'gateway-error', codes and ranges of codes",
  'retry.linkerd.io/grpc':
    "write a comma list without spaces of 'cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted' and 'unavailable'",
};
