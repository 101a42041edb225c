// SPDX-License-Identifier: Apache-2.0
/* Kubernetes quantities as weights of a ServiceProfile's dstOverrides: `900m`, `1`, `2k`, `1e3` (control-contract §1.8, §5). */

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

/** Thousandths of a quantity, rounded up as Kubernetes does; undefined when it is none. */
export function milliValue(quantity: number | string): number | undefined {
  if (typeof quantity === 'number') return Number.isFinite(quantity) ? roundUp(quantity * 1000) : undefined;
  const match = /^([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))(?:([eE][+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)$/.exec(quantity);
  if (match === null) return undefined;
  const [, amount = '', exponent = '', suffix = ''] = match;
  return roundUp(Number(`${amount}${exponent}`) * (SUFFIXES[suffix] ?? 1) * 1000);
}

/** Up to the next whole number, but not for the last bits that a multiplication adds. */
function roundUp(value: number): number {
  const nearest = Math.round(value);
  return Math.abs(value - nearest) < 1e-6 ? nearest : Math.ceil(value);
}
