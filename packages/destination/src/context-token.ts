// SPDX-License-Identifier: Apache-2.0
/*
 * The context token of a proxy, which says where its workload runs (control-contract §1.2): JSON, or the legacy `ns:<namespace>`. A token that
 * is neither counts as empty; it is never an error, since it only refines an answer.
 */

/** Where the asking proxy runs; '' where unknown. */
export interface ContextToken {
  readonly namespace: string;
  readonly nodeName: string;
}

const EMPTY: ContextToken = { namespace: '', nodeName: '' };

/** Parses a token. `undefined`: neither form, to be logged and treated as empty. */
export function parseContextToken(token: string): ContextToken | undefined {
  if (token === '') return EMPTY;
  const fields = jsonObject(token);
  if (fields !== undefined) {
    const { ns = '', nodeName = '' } = fields;
    if (typeof ns === 'string' && typeof nodeName === 'string') return { namespace: ns, nodeName };
  }
  return token.startsWith('ns:') ? { namespace: token.slice('ns:'.length), nodeName: '' } : undefined;
}

function jsonObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
