// SPDX-License-Identifier: Apache-2.0
/*
 * What our decoders make of a byte stream's first message, in the same words as `node-peer.ts`.
 */
import { Buffer } from 'node:buffer';
import { H1RequestDecoder } from '../request-decoder.ts';
import { H1ResponseDecoder } from '../response-decoder.ts';
import type { H1Decoder, H1RequestHead, H1ResponseHead, H1Sink } from '../types.ts';
import { type Reading, refused } from './node-peer.ts';

class FirstMessage<Head extends { readonly fields: readonly string[] }> implements H1Sink<Head> {
  head: Head | undefined = undefined;
  body = '';
  trailers: readonly string[] = [];
  isComplete = false;
  onHead(head: Head): void {
    this.head = head;
  }
  onBody(chunk: Uint8Array, start: number, end: number): void {
    this.body += Buffer.from(chunk.subarray(start, end)).toString('latin1');
  }
  onEnd(trailers: readonly string[] | undefined): void {
    this.trailers = trailers ?? [];
    this.isComplete = true;
  }

  reading(decoder: H1Decoder, bytes: Uint8Array, startLineOf: (head: Head) => string): Reading {
    decoder.push(bytes, 0, bytes.length);
    // A stream that may end here without `onEnd` has become a tunnel, or was empty.
    const isProperEnd = this.isComplete || decoder.pushEof();
    const { error } = decoder;
    if (error !== undefined && !this.isComplete) return refused(`${error.code}: ${error.message}`);
    if (!isProperEnd || this.head === undefined) return refused('incomplete');
    const { head } = this;
    return { refusal: undefined, startLine: startLineOf(head), fields: head.fields, body: this.body, trailers: this.trailers };
  }
}

export function readRequestByUs(bytes: Uint8Array): Reading {
  const message = new FirstMessage<H1RequestHead>();
  return message.reading(new H1RequestDecoder(message), bytes, ({ method, target, minorVersion }) => `${method} ${target} 1.${minorVersion}`);
}

export function readResponseByUs(bytes: Uint8Array, method: string): Reading {
  const message = new FirstMessage<H1ResponseHead>();
  const decoder = new H1ResponseDecoder(message);
  decoder.expect(method);
  return message.reading(decoder, bytes, ({ minorVersion, status, reason }) => `1.${minorVersion} ${status} ${reason}`);
}
