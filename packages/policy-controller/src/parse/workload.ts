// SPDX-License-Identifier: Apache-2.0
/*
 * How a proxy names itself to the policy APIs (control-contract §3.2): the legacy `ns:pod`, or a JSON object with `ns` and either `pod` or
 * `external_workload`.
 */

export interface Workload {
  readonly kind: 'pod' | 'external-workload';
  readonly namespace: string;
  readonly name: string;
}

/** The workload that a request names, or undefined if it names none. */
export function parseWorkload(text: string): Workload | undefined {
  if (text.trimStart().startsWith('{')) return parseJsonWorkload(text);
  const colon = text.indexOf(':');
  if (colon <= 0 || colon === text.length - 1) return undefined;
  return { kind: 'pod', namespace: text.slice(0, colon), name: text.slice(colon + 1) };
}

function parseJsonWorkload(text: string): Workload | undefined {
  let fields: { readonly ns?: unknown; readonly pod?: unknown; readonly external_workload?: unknown };
  try {
    fields = JSON.parse(text) as typeof fields;
  } catch {
    // Not JSON: the caller answers InvalidArgument with the text itself.
    return undefined;
  }
  const namespace = fields.ns;
  if (typeof namespace !== 'string' || namespace === '') return undefined;
  if (typeof fields.pod === 'string' && fields.pod !== '') return { kind: 'pod', namespace, name: fields.pod };
  const external = fields.external_workload;
  return typeof external === 'string' && external !== '' ? { kind: 'external-workload', namespace, name: external } : undefined;
}
