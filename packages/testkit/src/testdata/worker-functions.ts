// SPDX-License-Identifier: Apache-2.0
/* Functions for the test of NamespaceWorker. */

export function add(a: number, b: number): number {
  return a + b;
}

export async function later(text: string): Promise<string> {
  console.log('printed output is not part of the protocol');
  return Promise.resolve(text.repeat(100_000));
}

export function fails(): never {
  throw new Error('as asked');
}

export function exits(): never {
  process.exit(3);
}
