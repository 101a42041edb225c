// SPDX-License-Identifier: Apache-2.0
/*
 * DNS messages (RFC 1035 §4), as little as a name server for one zone needs: queries with one question come in, answers with A, AAAA, SRV,
 * CNAME and SOA records go out. No compression but the pointer to the question's name; answers too long for UDP are cut and marked.
 */
import { Buffer } from 'node:buffer';

export const TYPE_A = 1;
export const TYPE_CNAME = 5;
export const TYPE_SOA = 6;
export const TYPE_AAAA = 28;
export const TYPE_SRV = 33;
export const TYPE_OPT = 41;
export const TYPE_ANY = 255;
const CLASS_IN = 1;

export const RCODE_OK = 0;
export const RCODE_FORMAT_ERROR = 1;
export const RCODE_NAME_ERROR = 3;
export const RCODE_NOT_IMPLEMENTED = 4;
export const RCODE_REFUSED = 5;

/** Longest answer over UDP where the query names no other size (RFC 1035 §4.2.1), and longest that we send at all (RFC 6891 §6.2.5). */
export const PLAIN_UDP_BYTES = 512;
export const MAX_UDP_BYTES = 1232;

/** What was asked. */
export interface DnsQuery {
  readonly id: number;
  readonly isRecursionDesired: boolean;
  /** Lower case, without trailing dot. */
  readonly name: string;
  readonly type: number;
  /** Bytes that the client takes over UDP. */
  readonly maxUdpBytes: number;
  /** The question as it came, to be sent back. */
  readonly question: Buffer;
  readonly hasEdns: boolean;
}

/** One record of an answer. */
export type DnsRecord =
  | { readonly type: typeof TYPE_A; readonly name: string; readonly ttlSeconds: number; readonly address: string }
  | { readonly type: typeof TYPE_CNAME; readonly name: string; readonly ttlSeconds: number; readonly target: string }
  | {
      readonly type: typeof TYPE_SRV;
      readonly name: string;
      readonly ttlSeconds: number;
      readonly priority: number;
      readonly weight: number;
      readonly port: number;
      readonly target: string;
    }
  | { readonly type: typeof TYPE_SOA; readonly name: string; readonly ttlSeconds: number };

export interface DnsAnswer {
  readonly code: number;
  readonly answers: readonly DnsRecord[];
  readonly authority: readonly DnsRecord[];
  readonly additional: readonly DnsRecord[];
}

/** A query, or the code to refuse it with (with its id), or undefined for what deserves no answer. */
export function decodeQuery(message: Buffer): DnsQuery | { readonly id: number; readonly refuseWith: number } | undefined {
  if (message.length < 12) return undefined;
  const id = message.readUInt16BE(0);
  const flags = message.readUInt16BE(2);
  // An answer, not a query: two servers must not talk to each other for ever.
  if ((flags & 0x8000) !== 0) return undefined;
  if ((flags & 0x7800) !== 0) return { id, refuseWith: RCODE_NOT_IMPLEMENTED };
  if (message.readUInt16BE(4) !== 1) return { id, refuseWith: RCODE_FORMAT_ERROR };
  const labels: string[] = [];
  let at = 12;
  for (;;) {
    const length = message[at];
    if (length === undefined || length > 63) return { id, refuseWith: RCODE_FORMAT_ERROR };
    at += 1;
    if (length === 0) break;
    if (at + length > message.length || at - 12 + length > 255) return { id, refuseWith: RCODE_FORMAT_ERROR };
    labels.push(message.toString('latin1', at, at + length).toLowerCase());
    at += length;
  }
  if (at + 4 > message.length) return { id, refuseWith: RCODE_FORMAT_ERROR };
  const type = message.readUInt16BE(at);
  if (message.readUInt16BE(at + 2) !== CLASS_IN) return { id, refuseWith: RCODE_REFUSED };
  const end = at + 4;
  const ednsBytes = ednsSize(message, end);
  return {
    id,
    isRecursionDesired: (flags & 0x0100) !== 0,
    name: labels.join('.'),
    type,
    maxUdpBytes: Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, ednsBytes ?? PLAIN_UDP_BYTES)),
    question: message.subarray(12, end),
    hasEdns: ednsBytes !== undefined,
  };
}

/** The UDP size of an OPT record that follows the question at once, as every resolver sends it. */
function ednsSize(message: Buffer, at: number): number | undefined {
  if (message.readUInt16BE(6) !== 0 || message.readUInt16BE(8) !== 0 || message.readUInt16BE(10) === 0) return undefined;
  if (message.length < at + 11 || message[at] !== 0 || message.readUInt16BE(at + 1) !== TYPE_OPT) return undefined;
  return message.readUInt16BE(at + 3);
}

/** The answer in bytes; cut to no records and marked when it is longer than `maxBytes`. */
export function encodeAnswer(query: DnsQuery, answer: DnsAnswer, maxBytes: number): Buffer {
  const records = [answer.answers, answer.authority, answer.additional].map((list) => list.map((record) => encodeRecord(record, query)));
  const opt = query.hasEdns ? [encodeOpt()] : [];
  const whole = Buffer.concat([
    header(
      query,
      answer.code,
      records.map((list) => list.length),
      opt.length,
      false,
    ),
    query.question,
    ...records.flat(),
    ...opt,
  ]);
  if (whole.length <= maxBytes) return whole;
  return Buffer.concat([header(query, answer.code, [0, 0, 0], opt.length, true), query.question, ...opt]);
}

/** An answer without question, for what could not be read. */
export function encodeRefusal(id: number, code: number): Buffer {
  const message = Buffer.alloc(12);
  message.writeUInt16BE(id, 0);
  message.writeUInt16BE(0x8000 | code, 2);
  return message;
}

function header(query: DnsQuery, code: number, counts: readonly number[], optCount: number, isCut: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(query.id, 0);
  // Authoritative, recursion "available": resolvers complain otherwise, and there is nothing to recurse to.
  bytes.writeUInt16BE(0x8480 | (query.isRecursionDesired ? 0x0100 : 0) | (isCut ? 0x0200 : 0) | code, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(counts[0] ?? 0, 6);
  bytes.writeUInt16BE(counts[1] ?? 0, 8);
  bytes.writeUInt16BE((counts[2] ?? 0) + optCount, 10);
  return bytes;
}

function encodeRecord(record: DnsRecord, query: DnsQuery): Buffer {
  const data = encodeData(record);
  const name = record.name === query.name ? Buffer.from([0xc0, 12]) : encodeName(record.name);
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(record.type, 0);
  fixed.writeUInt16BE(CLASS_IN, 2);
  fixed.writeUInt32BE(record.ttlSeconds, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([name, fixed, data]);
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case TYPE_A:
      return Buffer.from(record.address.split('.').map(Number));
    case TYPE_CNAME:
      return encodeName(record.target);
    case TYPE_SRV: {
      const fixed = Buffer.alloc(6);
      fixed.writeUInt16BE(record.priority, 0);
      fixed.writeUInt16BE(record.weight, 2);
      fixed.writeUInt16BE(record.port, 4);
      return Buffer.concat([fixed, encodeName(record.target)]);
    }
    case TYPE_SOA: {
      const times = Buffer.alloc(20);
      // serial, refresh, retry, expire, and how long "no such name" may be remembered.
      for (const [index, value] of [1, 7200, 1800, 86_400, record.ttlSeconds].entries()) times.writeUInt32BE(value, index * 4);
      return Buffer.concat([encodeName(`ns.dns.${record.name}`), encodeName(`hostmaster.${record.name}`), times]);
    }
    default:
      return record satisfies never;
  }
}

function encodeOpt(): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(TYPE_OPT, 1);
  bytes.writeUInt16BE(MAX_UDP_BYTES, 3);
  return bytes;
}

function encodeName(name: string): Buffer {
  const labels = name.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...labels.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ]);
}
