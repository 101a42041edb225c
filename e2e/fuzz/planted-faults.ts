// SPDX-License-Identifier: Apache-2.0
/*
 * Ten faults of kinds that real parsers have had, each a change of the sources as they are loaded: what the fuzzer must find to be worth its time.
 * A text that is no longer there, or there twice, is an error: the list keeps up with the code.
 */
import { Buffer } from 'node:buffer';
import { registerHooks } from 'node:module';

export interface PlantedFault {
  readonly name: string;
  /** End of the file's path. */
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

export const PLANTED_FAULTS: readonly PlantedFault[] = [
  {
    name: 'a second Content-Length wins',
    file: 'packages/http1/src/field-facts.ts',
    from: 'if (this.contentLength !== NO_CONTENT_LENGTH) {',
    to: 'if (this.contentLength > 1e9) {',
  },
  {
    name: 'codings that end with chunked are taken',
    file: 'packages/http1/src/field-facts.ts',
    from: "} else if (codings.length === 1 && codings[0] === 'chunked') {",
    to: "} else if (codings.at(-1) === 'chunked') {",
  },
  {
    name: 'chunk sizes have any number of digits',
    file: 'packages/http1/src/limits.ts',
    from: 'MAX_CHUNK_SIZE_DIGITS = 16',
    to: 'MAX_CHUNK_SIZE_DIGITS = 64',
  },
  {
    name: 'digits of one chunk size count for the next',
    file: 'packages/http1/src/chunk-line.ts',
    from: '    this.state = SIZE;\n    this.digitCount = 0;',
    to: '    this.state = SIZE;',
  },
  {
    name: 'LF alone ends a chunk size',
    file: 'packages/http1/src/chunk-line.ts',
    from: "this.fail('ERR_H1_LINE_TERMINATOR', 'LF without CR after a chunk size');",
    to: 'this.isComplete = true;',
  },
  {
    name: 'a transport header that was cut takes too much',
    file: 'packages/detect/src/transport-header.ts',
    from: 'consumed: result.consumed - before',
    to: 'consumed: result.consumed',
  },
  {
    name: 'a ClientHello is judged before it is whole',
    file: 'packages/detect/src/client-hello.ts',
    from: 'if (end < handshakeStart + recordBytes) return INCOMPLETE;',
    to: '',
  },
  {
    name: 'an HPACK index loses a bit',
    file: 'packages/http2/src/hpack/decoder.ts',
    from: 'this.emitIndexed(first & 0x7f, receiver)',
    to: 'this.emitIndexed(first & 0x3f, receiver)',
  },
  {
    name: 'fields of an HTTP/2 head are not counted',
    file: 'packages/http2/src/message/field-section.ts',
    from: ' || this.fields.length >= this.maxFieldCount * 2',
    to: '',
  },
  {
    name: 'CONTINUATION frames are not counted',
    file: 'packages/http2/src/connection/message-receiver.ts',
    from: 'if (this.continuationCount > this.core.options.limits.maxContinuationFrames) {',
    to: 'if (this.continuationCount > 1e9) {',
  },
];

/** Puts the fault into what is imported from now on. */
export function plant({ file, from, to }: PlantedFault): void {
  registerHooks({
    load: (url, context, nextLoad) => {
      const loaded = nextLoad(url, context);
      if (!url.endsWith(file)) return loaded;
      const source = Buffer.from(loaded.source as Uint8Array).toString('utf8');
      if (source.split(from).length !== 2) throw new Error(`${file} does not have the text of the fault once: ${from}`);
      return { ...loaded, source: source.replace(from, () => to) };
    },
  });
}
