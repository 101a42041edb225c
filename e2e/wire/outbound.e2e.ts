// SPDX-License-Identifier: Apache-2.0
/*
 * What leaves the outbound proxy toward a foreign meshed peer: ClientHello, transport header, first bytes of HTTP/2, requests and bytes, and
 * what the application gets of the peer's answers. Compared with what left the reference, as its peer saw it.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Flat, compare, flatFields, flatHttp1, flatHttp2 } from './comparison.ts';
import { clientHelloFacts, type ClientHelloFacts } from './client-hello.ts';
import { OUTBOUND_DIFFERENCES } from './differences/outbound.ts';
import type { Http2Answer, TextAnswer } from './hosts/caller.ts';
import type { Recorded, RecordedRequest } from './hosts/stand-in.ts';
import { identity, PODS, SERVICES, startWorld, type World } from './world.ts';

interface CapturedRequest {
  readonly headers: readonly string[];
  readonly trailers?: readonly string[];
  readonly body_hex: string;
}

interface CapturedAnswer {
  readonly head?: readonly string[];
  readonly headers?: readonly string[];
  readonly trailers?: readonly string[] | null;
  readonly body?: string;
  readonly raw?: string;
  readonly end: string;
}

const testdata = (name: string): string => readFileSync(join(import.meta.dirname, 'testdata', name), 'utf8');
const json = (name: string): unknown => JSON.parse(testdata(name));
const hexLines = (name: string): readonly string[] =>
  testdata(name)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));

const HOST = 'standin.vec-net.svc.cluster.local:8080';
const text = (start: string, ...fields: readonly string[]): string => [start, ...fields, '', ''].join('\r\n');

/** The captures kept what left the proxy and the answers; these are the requests that must have gone in. */
const HTTP1_REQUESTS: Readonly<Record<string, { readonly text: string; readonly followUp?: string }>> = {
  'http1-get': {
    text: text(
      'GET /a?b=c HTTP/1.1',
      `Host: ${HOST}`,
      'user-agent: test',
      'accept: */*',
      'x-dup: 1',
      'x-dup: 2',
      'l5d-client-id: spoofed',
      'l5d-custom: kept',
    ),
  },
  'http1-post-length': { text: `${text('POST /post HTTP/1.1', `Host: ${HOST}`, 'content-length: 5')}hello` },
  'http1-post-chunked': {
    text: `${text('POST /chunked HTTP/1.1', `Host: ${HOST}`, 'transfer-encoding: chunked', 'trailer: x-t')}5\r\nhello\r\n0\r\nx-t: v\r\n\r\n`,
  },
  'http1-absolute': { text: text(`GET http://${HOST}/abs HTTP/1.1`, `Host: ${HOST}`) },
  http10: { text: text('GET /ten HTTP/1.0', 'Host: standin.vec-net.svc.cluster.local') },
  'http10-no-host': { text: text('GET /ten-nohost HTTP/1.0') },
  'http1-lower-host': { text: text('GET /other HTTP/1.1', 'Host: Other.Example.com') },
  'http1-upgrade': {
    text: text(
      'GET /ws HTTP/1.1',
      `Host: ${HOST}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Sec-WebSocket-Version: 13',
    ),
    followUp: 'raw bytes',
  },
  'http1-h2c-offer': {
    text: text(
      'GET /h2c HTTP/1.1',
      `Host: ${HOST}`,
      'Connection: Upgrade, HTTP2-Settings',
      'Upgrade: h2c',
      'HTTP2-Settings: AAMAAABkAAQAAP__',
    ),
  },
  'http1-connect': { text: text(`CONNECT ${HOST} HTTP/1.1`, `Host: ${HOST}`) },
  'http1-two-requests': {
    text: text('GET /one HTTP/1.1', `Host: ${HOST}`) + text('GET /two HTTP/1.1', `Host: ${HOST}`),
  },
};

const OPAQUE_REQUESTS: Readonly<Record<string, { readonly port: number; readonly text: string }>> = {
  opaque: { port: 9000, text: 'opaque bytes' },
  'opaque-http': { port: 9000, text: text('GET /o HTTP/1.1', 'Host: standin.vec-net.svc.cluster.local') },
  'detected-as-not-http': { port: 9001, text: 'this is not http at all\n' },
};

const origProto = json('orig-proto-requests.json') as { requests_left: CapturedRequest[]; answers: Record<string, CapturedAnswer> };
const http2 = json('h2-requests.json') as { requests_left: CapturedRequest[]; answers: Record<string, CapturedAnswer> };
const http1 = json('http1-connections.json') as { connections: { header_hex: string; received: string }[] };
const opaque = json('opaque-connections.json') as {
  connections: { header_hex: string; reads_hex: string[] }[];
  answers: Record<string, CapturedAnswer>;
};
const byPodIp = json('direct-endpoint-connections.json') as {
  connections: { port: number; tls: { alpn: string | false; sni: string }; header_hex: string | null; requests: string[][] }[];
  answers: Record<string, CapturedAnswer>;
};

let world: World;
const http1Answers = new Map<string, TextAnswer>();
const http2Answers: Http2Answer[] = [];
const opaqueAnswers = new Map<string, TextAnswer>();
let http1Records: Recorded[];
let http2Records: Recorded[];
let opaqueRecords: Recorded[];
let podRecords: Recorded[];
const podAnswers: Record<string, TextAnswer | Http2Answer> = {};

beforeAll(async () => {
  world = await startWorld();
  const { client, standIn } = world;
  for (const [name, request] of Object.entries(HTTP1_REQUESTS)) {
    http1Answers.set(name, await client.call('callText', { host: SERVICES.standin, port: 8080, ...request }));
  }
  http1Records = await standIn.call('takeRecords');
  for (const { headers, body_hex: bodyHex } of http2.requests_left) {
    http2Answers.push(await client.call('callHttp2', { host: SERVICES.standin, port: 8081, headers, bodyHex }));
  }
  http2Records = await standIn.call('takeRecords');
  for (const [name, request] of Object.entries(OPAQUE_REQUESTS)) {
    opaqueAnswers.set(name, await client.call('callText', { host: SERVICES.standin, ...request }));
  }
  opaqueRecords = await standIn.call('takeRecords');
  podAnswers.http1 = await client.call('callText', { host: PODS.standin, port: 4191, text: text('GET /direct HTTP/1.1', 'Host: h') });
  podAnswers.http1_pod_ip = await client.call('callText', {
    host: PODS.standin,
    port: 8080,
    text: text('GET /pod HTTP/1.1', 'Host: h.example.com'),
  });
  podAnswers.h2 = await client.call('callHttp2', {
    host: PODS.standin,
    port: 4191,
    headers: [':method', 'GET', ':scheme', 'http', ':authority', 'h2.example.com', ':path', '/direct2'],
  });
  podRecords = await standIn.call('takeRecords');
});
afterAll(() => world.rig.stop());

describe('requests that leave the outbound proxy for a meshed peer', () => {
  it.each(origProto.requests_left.map((captured, index) => ({ path: pathOf(captured.headers), captured, index })))(
    '[PROTO-09] HTTP/1 carried as HTTP/2: $path',
    ({ path, captured, index }) => {
      const left = http1Records.flatMap(({ requests }) => requests)[index];
      const { differing, known } = compare(flatLeft(left), flatCaptured(captured), OUTBOUND_DIFFERENCES[`left ${path}`]);
      expect(differing).toEqual(known);
    },
  );

  it('[PROTO-09] share one connection with its header before them', () => {
    const carrying = http1Records.filter(({ requests }) => requests.length > 0);
    expect(carrying.map(({ headerHex }) => headerHex)).toEqual(hexLines('transport-header-http2.hex'));
    expect(carrying[0]?.requests).toHaveLength(origProto.requests_left.length);
  });

  it.each(http2.requests_left.map((captured, index) => ({ name: `${captured.headers[1]} ${pathOf(captured.headers)}`, captured, index })))(
    '[PROTO-08] native HTTP/2: $name',
    ({ name, captured, index }) => {
      const left = http2Records.flatMap(({ requests }) => requests)[index];
      const { differing, known } = compare(flatLeft(left), flatCaptured(captured), OUTBOUND_DIFFERENCES[`left ${name}`]);
      expect(differing).toEqual(known);
    },
  );

  it('[PROTO-10] [PROTO-11] an upgrade and a CONNECT leave as HTTP/1 on connections of their own', () => {
    const apart = http1Records.filter(({ requests }) => requests.length === 0);
    expect(apart.map(({ headerHex }) => headerHex)).toEqual(http1.connections.map(({ header_hex }) => header_hex));
    expect([apart[0]?.headerHex]).toEqual(hexLines('transport-header-http1.hex'));
    expect([opaqueRecords[0]?.headerHex]).toEqual(hexLines('transport-header-opaque.hex'));
    for (const [index, { received }] of http1.connections.entries()) {
      const left = Buffer.from(apart[index]?.clearHex ?? '', 'hex').toString('latin1');
      const { differing, known } = compare(
        flatMessage(left),
        flatMessage(received),
        OUTBOUND_DIFFERENCES[`left ${received.split(' ')[0]}`],
      );
      expect(differing).toEqual(known);
    }
  });

  it.each(opaque.connections.map((captured, index) => ({ name: Object.keys(opaque.answers)[index] ?? '', captured, index })))(
    '[PROTO-03] [ID-14] bytes: $name',
    ({ captured, index }) => {
      const record = opaqueRecords[index];
      expect(record?.headerHex).toBe(captured.header_hex);
      expect(record?.clearHex).toBe(captured.reads_hex.slice(1).join(''));
    },
  );

  it.each(byPodIp.connections.map((captured, index) => ({ name: `port ${captured.port} #${index}`, captured, index })))(
    '[ID-14] straight to a pod: $name',
    ({ captured, index }) => {
      const record = podRecords[index];
      expect(record).toMatchObject({ port: captured.port, tls: { alpn: captured.tls.alpn, sni: captured.tls.sni } });
      expect(record?.headerHex ?? null).toBe(captured.header_hex);
      expect(record?.requests.map(({ headers }) => flatFields('', headers))).toEqual(
        captured.requests.map((headers) => flatFields('', headers)),
      );
    },
  );
});

describe('what the application gets of a meshed peer', () => {
  it.each(Object.entries(origProto.answers).map(([name, captured]) => ({ name, captured })))(
    '[PROTO-09] [PROTO-07] $name',
    ({ name, captured }) => {
      const answer = http1Answers.get(name);
      const ours = { ...flatHttp1(answer?.raw ?? ''), end: answer?.end ?? 'none' };
      const { differing, known } = compare(ours, flatText(captured), OUTBOUND_DIFFERENCES[name]);
      expect(differing).toEqual(known);
    },
  );

  it.each(Object.entries(http2.answers).map(([name, captured], index) => ({ name, captured, index })))(
    '[PROTO-08] $name',
    ({ name, captured, index }) => {
      const answer = http2Answers[index];
      const ours = { ...flatHttp2('', answer ?? {}), end: answer?.end ?? 'none' };
      const { differing, known } = compare(ours, { ...flatHttp2('', captured), end: captured.end }, OUTBOUND_DIFFERENCES[name]);
      expect(differing).toEqual(known);
    },
  );

  it.each(Object.entries(opaque.answers).map(([name, captured]) => ({ name, captured })))('[PROTO-03] $name', ({ name, captured }) => {
    const { raw, end } = opaqueAnswers.get(name) ?? {};
    expect({ raw, end }).toEqual({ raw: captured.raw, end: captured.end });
  });

  it.each(Object.entries(byPodIp.answers).map(([name, captured]) => ({ name, captured })))(
    '[ID-14] by pod address: $name',
    ({ name, captured }) => {
      const answer = podAnswers[name] as TextAnswer | Http2Answer;
      const ours = { ...('raw' in answer ? flatHttp1(answer.raw) : flatHttp2('', answer)), end: answer.end };
      const theirs = captured.headers === undefined ? flatText(captured) : { ...flatHttp2('', captured), end: captured.end };
      const { differing, known } = compare(ours, theirs, OUTBOUND_DIFFERENCES[`pod ${name}`]);
      expect(differing).toEqual(known);
    },
  );
});

describe('the connection under them', () => {
  it('[ID-05] [ID-14] has a ClientHello with the facts of the reference', () => {
    const [captured] = (json('client-hello-fields.json') as { connections: [ClientHelloFacts] }).connections;
    const ours = clientHelloFacts(http1Records[0]?.clientHelloHex ?? '');
    const { differing, known } = compare(flatHello(ours), flatHello(captured), OUTBOUND_DIFFERENCES['ClientHello']);
    expect(differing).toEqual(known);
  });

  it('[ID-05] has a ClientHello without ALPN where the endpoint takes no transport header', () => {
    const record = podRecords.find(({ port }) => port === 4191);
    expect(flatHello(clientHelloFacts(record?.clientHelloHex ?? ''))).not.toHaveProperty('extension 16');
  });

  it('[ID-01] [ID-05] is TLS 1.3 with the certificate of the client, verified by the peer', () => {
    for (const { tls } of [...http1Records, ...http2Records, ...opaqueRecords, ...podRecords]) {
      expect(tls).toMatchObject({ protocol: 'TLSv1.3', sni: identity('standin'), san: `DNS:${identity('client')}`, isAuthorized: true });
    }
  });

  it('[PROTO-08] begins HTTP/2 with the bytes of the reference: preface, SETTINGS, WINDOW_UPDATE', () => {
    const [, preface, settings = ''] = hexLines('h2-client-first-bytes.hex');
    // The reference's next read begins with WINDOW_UPDATE (13 bytes), then HEADERS, whose compression is free.
    const windowUpdate = '000004080000000000000f0001';
    const expected = `${preface}${settings.slice(0, 2 * (9 + 18))}${windowUpdate}`;
    const ours = http1Records.find(({ requests }) => requests.length > 0)?.clearHex ?? '';
    expect(ours.slice(0, expected.length)).toBe(expected);
    expect(testdata('h2-client-first-bytes.hex')).toContain(windowUpdate);
  });

  it('[PROTO-08] serves HTTP/2 with the bytes of the reference: SETTINGS, WINDOW_UPDATE', async () => {
    const answer = await world.plain.call('callTls', {
      host: PODS.server,
      port: 4143,
      sni: identity('server'),
      alpn: ['transport.l5d.io/v1'],
      ca: world.ca,
      credentials: world.credentials('client'),
      headerHex: hexLines('transport-header-http2.hex')[0] ?? '',
      text: Buffer.from('505249202a20485454502f322e300d0a0d0a534d0d0a0d0a000000040000000000', 'hex').toString('latin1'),
    });
    const [settings, windowUpdate, acknowledgement] = hexLines('h2-server-first-bytes.hex');
    expect(Buffer.from(answer.raw, 'latin1').toString('hex')).toBe(`${settings}${windowUpdate}${acknowledgement}`);
  });
});

it('lists no difference of a case that is not there', () => {
  const cases = [
    'ClientHello',
    ...origProto.requests_left.map(({ headers }) => `left ${pathOf(headers)}`),
    ...http2.requests_left.map(({ headers }) => `left ${headers[1]} ${pathOf(headers)}`),
    ...http1.connections.map(({ received }) => `left ${received.split(' ')[0]}`),
    ...[origProto, http2].flatMap(({ answers }) => Object.keys(answers)),
    ...Object.keys(byPodIp.answers).map((name) => `pod ${name}`),
  ];
  expect(Object.keys(OUTBOUND_DIFFERENCES).filter((name) => !cases.includes(name))).toEqual([]);
});

function pathOf(headers: readonly string[]): string {
  return headers[headers.indexOf(':path') + 1] ?? '';
}

function flatLeft(left: RecordedRequest | undefined): Flat {
  if (left === undefined) return {};
  return { ...flatFields('', left.headers), ...flatFields('trailer.', left.trailers ?? []), body: left.bodyHex };
}

function flatCaptured(captured: CapturedRequest): Flat {
  return { ...flatFields('', captured.headers), ...flatFields('trailer.', captured.trailers ?? []), body: captured.body_hex };
}

function flatText({ head = [], body = '', end }: CapturedAnswer): Flat {
  return { ...flatHttp1([...head, '', body].join('\r\n')), end };
}

/** An HTTP/1 request and what followed it. */
function flatMessage(message: string): Flat {
  const at = message.indexOf('\r\n\r\n');
  const [start = '', ...lines] = message.slice(0, at).split('\r\n');
  const fields = lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
  return { start, ...flatFields('', fields), rest: message.slice(at + 4) };
}

function flatHello(facts: ClientHelloFacts): Flat {
  return {
    record: facts.record_version,
    version: facts.legacy_version,
    session: String(facts.session_id_length),
    ciphers: facts.cipher_suites.join(' '),
    compression: facts.compression,
    ...Object.fromEntries(
      facts.extensions.map(({ type, data, shares }) => [
        `extension ${type}`,
        data ?? shares?.map(({ group, length }) => `${group}:${length}`).join(' ') ?? '',
      ]),
    ),
  };
}
