// SPDX-License-Identifier: Apache-2.0
/*
 * Label sets of the Prometheus text format. A set is formatted once, when its series is made, and is from then on both the series' key
 * and its text. Values come from peers and from users' objects (bad-inputs 21: metric injection), so they are escaped and cut here.
 */

/** Labels in the order in which they are to be written; `undefined` leaves a label out. */
export type Labels = Readonly<Record<string, string | undefined>>;

/** Longest label value in UTF-16 units; longer ones are cut. No name of the mesh comes near (DNS names end at 253). */
export const MAX_LABEL_VALUE_LENGTH = 1024;

/** `a="1",b="2"`: without braces, '' for an empty set. Names are ours and are not checked. */
export function formatLabels(labels: Labels): string {
  let text = '';
  for (const name in labels) {
    const value = labels[name];
    if (value === undefined) continue;
    text += text === '' ? `${name}="${escapeLabelValue(value)}"` : `,${name}="${escapeLabelValue(value)}"`;
  }
  return text;
}

const UNSAFE = /[\\"\n\r\0]/;

/** Escapes backslash, quote and line feed; a carriage return or NUL, which the format cannot write, becomes a space. */
export function escapeLabelValue(value: string): string {
  const cut = value.length > MAX_LABEL_VALUE_LENGTH ? value.slice(0, MAX_LABEL_VALUE_LENGTH) : value;
  if (!UNSAFE.test(cut)) return cut;
  return cut
    .replaceAll('\\', '\\\\')
    .replaceAll('"', '\\"')
    .replaceAll('\n', '\\n')
    .replaceAll(/[\r\0]/g, ' ');
}
