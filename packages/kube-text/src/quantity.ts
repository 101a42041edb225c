// SPDX-License-Identifier: Apache-2.0
/*
 * Quantities of the Kubernetes API: `900m`, `1`, `250Mi`, `1e3` (resource.Quantity): resources of containers, weights of ServiceProfiles
 * (control-contract §1.8, §4.3, §5). As numbers: enough to compare and to round, not to add up without loss.
 */

const SUFFIXES: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

// A sign, digits, and an exponent or a suffix. Every repetition ends at a character that it cannot take itself: reading takes linear time.
const QUANTITY = /^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/;

/** Longest text that is looked at, in UTF-16 units. */
const MAX_LENGTH = 128;

/** The value of a quantity, which is finite; undefined for a text that is none. */
export function quantityValue(text: string): number | undefined {
  const match = text.length > MAX_LENGTH ? null : QUANTITY.exec(text);
  if (match === null) return undefined;
  const [, amount = '', exponent = '', suffix = ''] = match;
  const value = Number(`${amount}${exponent}`) * (SUFFIXES[suffix] ?? Number.NaN);
  return Number.isFinite(value) ? value : undefined;
}

/** Thousandths of a quantity, or of a plain number, rounded up as Kubernetes does; undefined where it is none. */
export function milliValue(quantity: number | string): number | undefined {
  const value = typeof quantity === 'number' ? quantity : quantityValue(quantity);
  return value === undefined || !Number.isFinite(value) ? undefined : roundUp(value * 1000);
}

/** Up to the next whole number, but not for the last bits that a multiplication adds. */
function roundUp(value: number): number {
  const nearest = Math.round(value);
  return Math.abs(value - nearest) < 1e-6 ? nearest : Math.ceil(value);
}
