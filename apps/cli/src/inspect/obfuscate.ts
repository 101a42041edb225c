// SPDX-License-Identifier: Apache-2.0
/* Metrics that can be shown to strangers (features CLI-31): names and addresses in labels become hashes, equal ones stay equal. Pure. */
import { createHash } from 'node:crypto';

/** Labels whose values name something of the user. */
const PRIVATE =
  /^(?:authority|hostname|host|addr|client_id|server_id|identity|.*_(?:addr|ip|ns|namespace|name|service|serviceaccount|pod|zone|node|deployment))$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
/** Hex digits of a hash that are shown. */
const SHOWN_DIGITS = 16;

/** The text with private label values hashed; comments stay. */
export function obfuscateMetrics(text: string): string {
  return text
    .split('\n')
    .map((line) =>
      line.startsWith('#') ? line : line.replaceAll(LABEL, (whole, name: string, value: string) => hashed(whole, name, value)),
    )
    .join('\n');
}

function hashed(whole: string, name: string, value: string): string {
  if (value === '' || !PRIVATE.test(name)) return whole;
  return `${name}="${createHash('sha256').update(value).digest('hex').slice(0, SHOWN_DIGITS)}"`;
}
