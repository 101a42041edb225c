// SPDX-License-Identifier: Apache-2.0
/* What can be fuzzed: how inputs are made, and what is observed of one. A broken law is a throw. */
import type { Random } from './random.ts';

export interface Target {
  readonly name: string;
  /** An input from the grammar, valid or nearly. */
  generate(random: Random): Uint8Array;
  /**
   * Decodes the input, which comes in these pieces. What it answers must not depend on how the bytes are cut. Throws where a law is broken, above
   * all where the decoder itself throws.
   */
  observe(pieces: readonly Uint8Array[]): string;
}

/** A law of a decoder that does not hold. */
export function broken(law: string): never {
  throw new Error(`broken law: ${law}`);
}
