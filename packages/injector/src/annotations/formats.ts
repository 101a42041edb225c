// SPDX-License-Identifier: Apache-2.0
/*
 * What annotation values look like (control-contract §4.3): Go's booleans, Kubernetes quantities, port lists. Each reader
 * gives undefined for what it cannot read; none throws, and each takes time linear in the length of its text.
 */
import { isIP } from 'node:net';
import { quantityValue } from '@weft/kube-text';

/** Longer values are not read at all. */
export const MAX_VALUE_LENGTH = 65_536;

/** A boolean as Go's ParseBool reads it. */
export function parseBoolean(text: string): boolean | undefined {
  if (['1', 't', 'T', 'true', 'TRUE', 'True'].includes(text)) return true;
  return ['0', 'f', 'F', 'false', 'FALSE', 'False'].includes(text) ? false : undefined;
}

/** `enabled` or `disabled`. */
export function parseSwitch(text: string): boolean | undefined {
  return text === 'enabled' ? true : text === 'disabled' ? false : undefined;
}

/** A whole number from `min` to `max`, in decimal digits. */
export function parseWhole(text: string, min: number, max: number): number | undefined {
  if (!/^\d{1,15}$/.test(text)) return undefined;
  const value = Number(text);
  return value >= min && value <= max ? value : undefined;
}

/** A Kubernetes quantity of at least nothing, as a number. Enough to compare and to round up, not to add. */
export function parseQuantity(text: string): number | undefined {
  const value = text.startsWith('-') ? undefined : quantityValue(text);
  return value === undefined || value < 0 ? undefined : value;
}

/** `N`, or `N-M` with N not above M; ports from 0 to 65535, as proxy-init takes them. */
export function isPortOrRange(text: string): boolean {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return false;
  const [low, high] = [Number(match[1]), Number(match[2] ?? match[1])];
  return low <= high && high <= 65_535;
}

/** A comma list of ports and ranges; blanks around items and empty items are allowed. */
export function isPortList(text: string): boolean {
  return listItems(text).every(isPortOrRange);
}

/** The items of a comma list, trimmed, empty ones left out. */
export function listItems(text: string): readonly string[] {
  if (text.length > MAX_VALUE_LENGTH) return [];
  return text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '');
}

/** `address/length`, either family. */
export function isCidr(text: string): boolean {
  const slash = text.indexOf('/');
  const family = isIP(text.slice(0, Math.max(slash, 0)));
  return family !== 0 && /^\d{1,3}$/.test(text.slice(slash + 1)) && Number(text.slice(slash + 1)) <= (family === 4 ? 32 : 128);
}
