// SPDX-License-Identifier: Apache-2.0
/*
 * Names that controllers make up: the hash of a pod template, which tells the pods of one version of a workload from those of the next,
 * and random suffixes. As Kubernetes does: 32-bit FNV-1a, written in letters and digits that spell no words.
 */

const ALPHABET = 'bcdfghjklmnpqrstvwxz2456789';

/** FNV-1a, 32 bits, over UTF-16 units. */
export function fnv32(text: string): number {
  let value = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) value = Math.imul(value ^ text.charCodeAt(index), 0x01000193) >>> 0;
  return value;
}

/** JSON with the keys of every object in order, so that equal values give equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(',')}}`;
}

/** The label value `pod-template-hash`. */
export function templateHash(template: unknown): string {
  return Array.from(String(fnv32(canonicalJson(template))), (digit) => ALPHABET[Number(digit) % ALPHABET.length]).join('');
}

/** Five characters that make a name unique; `random` gives numbers in [0, 1). */
export function randomSuffix(random: () => number): string {
  return Array.from({ length: 5 }, () => ALPHABET[Math.floor(random() * ALPHABET.length)]).join('');
}
