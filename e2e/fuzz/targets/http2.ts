// SPDX-License-Identifier: Apache-2.0
/* The HTTP/2 codec and HPACK: frames from a grammar, cut and mutated; limits held to a naive reading of the frames; encoding read back. */
import { Buffer } from 'node:buffer';
import { ByteWriter, type FieldList } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, HPACK_ERROR, HpackDecoder, HpackEncoder } from '@weft/http2';
import {
  blockFrame,
  continuationFrame,
  dataFrame,
  fieldBlock,
  frame,
  headersFrame,
  pingFrame,
  priorityFrame,
  rstStreamFrame,
  settingsFrame,
  windowUpdateFrame,
} from '@weft/http2/testing';
import type { Random } from '../random.ts';
import { broken, type Target } from '../target.ts';

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
const GET = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'];
/** `DEFAULT_H2_LIMITS`. */
const MAX_FIELDS = 256;
const MAX_CONTINUATIONS = 8;
const CONTINUATION = 9;

function oneFrame(random: Random): Buffer {
  const id = random.pick([0, 1, 1, 3, 5, 7, 2]);
  const endStream = random.chance(2);
  switch (random.int(13)) {
    case 0:
    case 1:
    case 2:
      return headersFrame(2 * random.int(20) + 1, [...GET, ...(random.chance(2) ? [] : ['x', 'y'.repeat(random.int(50))])], { endStream });
    case 3:
      return dataFrame(id, 'x'.repeat(random.int(100)), { endStream, ...(random.chance(3) ? { padding: random.int(256) } : {}) });
    case 4:
      return settingsFrame([[1 + random.int(6), random.pick([0, 1, 100, 16_384, 65_535, 0x7fff_ffff, 0xffff_ffff])]]);
    case 5:
      return windowUpdateFrame(id, random.pick([0, 1, 65_535, 0x7fff_ffff]));
    case 6:
      return rstStreamFrame(id, random.int(14));
    case 7:
      return pingFrame('0000000000000001', random.chance(2));
    case 8:
      return priorityFrame(id);
    case 9: {
      const count = random.int(40);
      return Buffer.concat([
        headersFrame(2 * random.int(20) + 1, GET, { endHeaders: false }),
        ...Array.from({ length: count }, () =>
          continuationFrame(1 + 2 * random.int(3), Buffer.alloc(random.int(3), 0x82), random.chance(40)),
        ),
      ]);
    }
    case 10: {
      // Very many small fields.
      const many = random.pick([10, 200, 300, 1000]);
      return blockFrame(2 * random.int(20) + 1, Buffer.concat([fieldBlock(GET), Buffer.alloc(many, 0x90)]), { endStream: true });
    }
    case 11:
      return blockFrame(2 * random.int(20) + 1, random.bytes(random.int(60)), { endStream });
    default:
      return frame(random.int(12), random.int(256), id, random.bytes(random.int(20)));
  }
}

/** Whether more CONTINUATION frames follow one another than are allowed, in a well-formed row, before anything else can have gone wrong. */
function floods(bytes: Buffer): boolean {
  let at = PREFACE.length;
  let run = 0;
  while (at + 9 <= bytes.length) {
    const length = bytes.readUIntBE(at, 3);
    if (at + 9 + length > bytes.length) return false;
    run = bytes[at + 3] === CONTINUATION ? run + 1 : 0;
    if (run > MAX_CONTINUATIONS) return true;
    at += 9 + length;
  }
  return false;
}

export const HTTP2: Target = {
  name: 'http2',
  generate: (random) =>
    Buffer.concat([Buffer.from(PREFACE), settingsFrame([]), ...Array.from({ length: 1 + random.int(12) }, () => oneFrame(random))]),
  observe: (pieces) => {
    const lines: string[] = [];
    const sink: H2ConnectionSink = {
      onRequest: (stream, fields, endStream) => {
        if (fields.length > MAX_FIELDS * 2) broken('a head has at most 256 fields');
        for (let i = 0; i < fields.length; i++) if (/[\r\n\0]/.test(fields[i])) broken('no field has CR, LF or NUL');
        for (let i = 0; i < fields.length; i += 2) if (/[A-Z]/.test(fields[i])) broken('names are lower-case');
        lines.push(`request ${stream.id} ${JSON.stringify(fields)} ${endStream}`);
        return {
          onHeaders: () => broken('a server gets no response'),
          onInterim: () => broken('a server gets no response'),
          onData: (chunk, start, end, isEnd) => {
            lines.push(`data ${stream.id} ${Buffer.from(chunk.subarray(start, end)).toString('latin1')} ${isEnd}`);
            stream.consume(end - start);
          },
          onTrailers: (trailers) => lines.push(`trailers ${stream.id} ${JSON.stringify(trailers)}`),
          onReset: (code, by) => lines.push(`reset ${stream.id} ${code} ${by}`),
          onWritable: () => {},
        };
      },
      onSettings: () => lines.push('settings'),
      onGoaway: (last, code) => lines.push(`goaway ${last} ${code}`),
      onPong: () => {},
      onOutput: () => {},
    };
    const out = new ByteWriter();
    const connection = new H2Connection({ role: 'server' }, sink, out);
    for (const piece of pieces) {
      if (!connection.recv(piece, 0, piece.length, 0)) break;
    }
    if (connection.error === undefined && floods(Buffer.concat(pieces))) broken('nine CONTINUATION frames in a row are an error');
    connection.close();
    return `${joined(lines)}\n${connection.error?.code ?? 'sound'}`;
  },
};

/** DATA events that only the cut has divided become one. */
function joined(lines: readonly string[]): string {
  const merged: string[] = [];
  for (const line of lines) {
    const last = merged.at(-1);
    const [kind, id, text = '', isEnd] = line.split(' ');
    const [lastKind, lastId, lastText = '', wasEnd] = last?.split(' ') ?? [];
    if (kind === 'data' && lastKind === 'data' && id === lastId && wasEnd === 'false' && !line.includes('\n')) {
      merged[merged.length - 1] = `data ${id} ${lastText}${text} ${isEnd}`;
    } else merged.push(line);
  }
  return merged.join('\n');
}

/** Two blocks one after another through the same tables: what the encoder wrote the decoder reads. */
export const HPACK_ROUND_TRIP: Target = {
  name: 'hpack-round-trip',
  generate: (random) => random.bytes(8 + random.int(200)),
  observe: (pieces) => {
    const bytes = Buffer.concat(pieces);
    const encoder = new HpackEncoder(4096);
    const decoder = new HpackDecoder(4096, 16_384);
    for (let at = 0; at + 2 < bytes.length; at += 3) {
      const fields: FieldList = [...GET];
      const [a = 0, b = 0, c = 0] = bytes.subarray(at, at + 3);
      for (let i = 0; i < a % 8; i++) fields.push(`x-${(b + i) % 16}`, `${c % 32}-${i}`);
      const out = new ByteWriter();
      encoder.encode(fields, out);
      const read: FieldList = [];
      const end = decoder.decode(out.buffer, 0, out.length, true, {
        onField: (name, value) => read.push(name, value),
        onFieldSkipped: () => broken('nothing of ours is skipped'),
      });
      if (end !== out.length || JSON.stringify(read) !== JSON.stringify(fields)) broken('a decoder reads what an encoder wrote');
    }
    return 'sound';
  },
};

export const HPACK: Target = {
  name: 'hpack',
  generate: (random) =>
    Buffer.concat(
      Array.from({ length: 1 + random.int(6) }, () =>
        random.chance(2)
          ? fieldBlock(['name', 'v'.repeat(random.int(200))])
          : Buffer.from([random.pick([0x82, 0xbe, 0xff, 0x20, 0x3f, 0x41, 0x0f, 0x1f, 0x80]), random.int(256), random.int(256)]),
      ),
    ),
  observe: (pieces) => {
    const decoder = new HpackDecoder(4096, 16_384);
    const read: string[] = [];
    const receiver = {
      onField: (name: string, value: string) => void read.push(`${name}: ${value}`),
      onFieldSkipped: () => void read.push('skipped'),
    };
    let rest: Buffer = Buffer.alloc(0);
    for (const [index, piece] of pieces.entries()) {
      const chunk = Buffer.concat([rest, piece]);
      const end = decoder.decode(chunk, 0, chunk.length, index === pieces.length - 1, receiver);
      if (end === HPACK_ERROR) return 'error';
      if (end < 0 || end > chunk.length) broken('decode answers an index inside the chunk');
      rest = chunk.subarray(end);
    }
    return read.join('\n');
  },
};
