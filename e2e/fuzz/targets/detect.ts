// SPDX-License-Identifier: Apache-2.0
/* What is read of a connection before its protocol is known, and certificate requests: verdicts that no cut and nothing behind may change. */
import { Buffer } from 'node:buffer';
import { detectHttp, encodeTransportHeader, parseClientHello, TransportHeaderDecoder } from '@weft/detect';
import { destination, inbound, outbound } from '@weft/proto';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { parseCsr } from '@weft/pki';
import type { Random } from '../random.ts';
import { broken, type Target } from '../target.ts';

/** A ClientHello with a server name among other extensions. */
function clientHello(random: Random): Buffer {
  const name = Buffer.from(random.pick(['a.example', 'server.rig.serviceaccount.identity.linkerd.cluster.local', 'x', 'A.b']));
  const u16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255]);
  const serverName = Buffer.concat([u16(name.length + 3), Buffer.from([0]), u16(name.length), name]);
  const extension = (type: number, data: Buffer): Buffer => Buffer.concat([u16(type), u16(data.length), data]);
  const extensions = Buffer.concat([
    extension(43, Buffer.from([2, 3, 4])),
    extension(0, serverName),
    extension(16, random.bytes(random.int(30))),
  ]);
  const hello = Buffer.concat([
    u16(0x0303),
    random.bytes(32),
    Buffer.from([0]),
    u16(2),
    u16(0x1301),
    Buffer.from([1, 0]),
    u16(extensions.length),
    extensions,
  ]);
  const handshake = Buffer.concat([Buffer.from([1, 0]), u16(hello.length), hello]);
  return Buffer.concat([Buffer.from([22, 3, 1]), u16(handshake.length), handshake]);
}

export const CLIENT_HELLO: Target = {
  name: 'client-hello',
  generate: clientHello,
  observe: (pieces) => {
    const bytes = Buffer.concat(pieces);
    const whole = JSON.stringify(parseClientHello(bytes, 0, bytes.length));
    let at = 0;
    for (const piece of pieces) {
      at += piece.length;
      const early = parseClientHello(bytes, 0, at);
      if (early.kind !== 'incomplete' && JSON.stringify(early) !== whole) broken('a verdict on a beginning is the verdict on the whole');
      // What lies around must not matter: the same bytes inside a larger buffer.
      const around = Buffer.concat([Buffer.alloc(3, 0x16), bytes.subarray(0, at), Buffer.alloc(300, 0xff)]);
      if (JSON.stringify(parseClientHello(around, 3, 3 + at)) !== JSON.stringify(early)) broken('bytes outside of the range do not matter');
    }
    return whole;
  },
};

export const DETECT_HTTP: Target = {
  name: 'detect-http',
  generate: (random) =>
    Buffer.from(
      random.pick([
        'GET / HTTP/1.1\r\nhost: a\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'POST /x HTTP/1.0\r\n',
        '\r\nGET /',
        '\x16\x03\x01',
      ]),
    ),
  observe: (pieces) => {
    const bytes = Buffer.concat(pieces);
    const whole = detectHttp(bytes, 0, bytes.length);
    const around = Buffer.concat([Buffer.from('GET '), bytes, Buffer.from(' HTTP/1.1\r\n')]);
    if (detectHttp(around, 4, 4 + bytes.length) !== whole) broken('bytes outside of the range do not matter');
    if (bytes.subarray(0, 14).toString('latin1') === 'PRI * HTTP/2.0' && whole !== 'http/2') broken('the preface is HTTP/2');
    return whole;
  },
};

export const TRANSPORT_HEADER: Target = {
  name: 'transport-header',
  generate: (random) => {
    const name = random.pick([undefined, 'a.b', 'svc.ns.svc.cluster.local']);
    const header = encodeTransportHeader({
      port: 1 + random.int(65_535),
      name,
      sessionProtocol: random.pick(['http1', 'http2', undefined]),
    });
    return Buffer.concat([header, random.bytes(random.int(20))]);
  },
  observe: (pieces) => {
    const decoder = new TransportHeaderDecoder();
    let before = 0;
    for (const piece of pieces) {
      const result = decoder.push(piece, 0, piece.length);
      if (result.kind === 'invalid') return result.reason;
      if (result.kind === 'header') {
        const { port, name, sessionProtocol } = result.header;
        if (port < 1 || port > 65_535) broken('a port is one');
        if (result.consumed < 0 || result.consumed > piece.length) broken('consumed bytes are of this chunk');
        return JSON.stringify([port, name, sessionProtocol, before + result.consumed]);
      }
      before += piece.length;
    }
    return 'incomplete';
  },
};

const SCHEMAS = [destination.UpdateSchema, destination.DestinationProfileSchema, outbound.OutboundPolicySchema, inbound.ServerSchema];

export const PROTO: Target = {
  name: 'proto',
  generate: (random) => random.bytes(random.int(80)),
  observe: (pieces) => {
    const bytes = Buffer.concat(pieces);
    return SCHEMAS.map((schema) => {
      let message;
      try {
        message = fromBinary(schema, bytes);
      } catch (error) {
        // The one thing that decoding may do with bad bytes; callers count on an Error.
        if (!(error instanceof Error)) broken('decoding throws errors');
        return 'refused';
      }
      const again = toBinary(schema, message);
      if (Buffer.compare(toBinary(schema, fromBinary(schema, again)), again) !== 0) broken('encoding what was decoded is stable');
      return String(again.length);
    }).join(' ');
  },
};

export const CSR: Target = {
  name: 'csr',
  generate: (random) => Buffer.concat([Buffer.from([0x30, 0x82, 0, random.int(200)]), random.bytes(random.int(200))]),
  observe: (pieces) => {
    const result = parseCsr(Buffer.concat(pieces));
    return 'request' in result ? `request ${result.request.commonName}` : result.flaw;
  },
};
