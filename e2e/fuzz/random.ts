// SPDX-License-Identifier: Apache-2.0
/* A seeded source of chance and a mutator of bytes: the same seed gives the same inputs. */
import { Buffer } from 'node:buffer';

const MAX_INPUT_BYTES = 65_536;
const INTERESTING = [0, 1, 9, 10, 13, 32, 58, 59, 127, 128, 255];

export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = (seed ^ 0x9e37_79b9) >>> 0 || 1;
  }

  /** A whole number from 0 to below `below`. */
  int(below: number): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state % below;
  }

  chance(oneIn: number): boolean {
    return this.int(oneIn) === 0;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(from.length)];
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.int(256)));
  }
}

/** One to four changes: octets replaced, bits flipped, pieces removed, repeated or brought in from `other`. */
export function mutate(random: Random, input: Uint8Array, other: Uint8Array): Buffer {
  let bytes = Buffer.from(input);
  for (let changes = 1 + random.int(4); changes > 0; changes--) {
    const at = random.int(bytes.length + 1);
    const size = 1 + random.int(random.chance(4) ? 200 : 4);
    switch (random.int(6)) {
      case 0:
        if (at < bytes.length) bytes[at] = random.pick(INTERESTING);
        break;
      case 1:
        if (at < bytes.length) bytes[at] = bytes[at] ^ (1 << random.int(8));
        break;
      case 2:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)]);
        break;
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at, at + size), bytes.subarray(at)]);
        break;
      case 4: {
        const from = random.int(other.length + 1);
        bytes = Buffer.concat([bytes.subarray(0, at), other.subarray(from, from + size), bytes.subarray(at)]);
        break;
      }
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(size), bytes.subarray(at)]);
    }
  }
  return bytes.subarray(0, MAX_INPUT_BYTES);
}

/** Pieces that together are `bytes`, each in a buffer of its own. */
export function cut(random: Random, bytes: Uint8Array): Buffer[] {
  const isBytewise = bytes.length <= 600 && random.chance(3);
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = isBytewise ? 1 : 1 + random.int(random.chance(2) ? 8 : Math.max(1, bytes.length >> 1));
    pieces.push(Buffer.from(bytes.subarray(at, at + size)));
    at += size;
  }
  return pieces;
}
