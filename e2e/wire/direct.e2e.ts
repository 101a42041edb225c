// SPDX-License-Identifier: Apache-2.0
/*
 * A foreign peer speaks to the inbound proxy: the captured cases of testdata/direct replayed against a running proxy. Handshake, answers with
 * their `l5d-*` fields, and how the connection ends.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Flat, compare, flatFields, flatHttp1, flatHttp2 } from './comparison.ts';
import { DIRECT_DIFFERENCES } from './differences/direct.ts';
import type { Credentials, TlsAnswer } from './hosts/caller.ts';
import { PODS, startWorld, type World } from './world.ts';

interface Captured {
  readonly name: string;
  readonly connect: {
    readonly port: number;
    readonly sni: string;
    readonly alpn: readonly string[];
    readonly client_certificate: string | null;
  };
  readonly handshake: {
    readonly protocol: string;
    readonly cipher: string;
    readonly alpn: string | null;
    readonly server_certificate: string;
  } | null;
  readonly sent_header_hex?: string;
  readonly exchanges?: readonly {
    readonly request: readonly string[];
    readonly response?: readonly string[];
    readonly trailers?: readonly string[];
    readonly body?: string;
    readonly error?: string;
  }[];
  readonly received_text?: string;
  readonly error?: string;
  readonly goaway?: number;
  readonly end: string;
}

const HOST = 'server.vec-net.svc.cluster.local';
const get = (path: string, ...fields: readonly string[]): string => [`GET ${path} HTTP/1.1`, ...fields, '', ''].join('\r\n');
const closing = (path: string, host = `${HOST}:8080`): string => get(path, `Host: ${host}`, 'Connection: close');

/** What was sent in cases that are not HTTP/2, where it is not `closing('/x', HOST)`. The captures kept the answers only. */
const TEXTS: Readonly<Record<string, { readonly text: string; readonly followUp?: string; readonly maxMs?: number }>> = {
  'admin-through-4143': { text: closing('/ready') },
  'denied-http1': { text: get('/d', `Host: ${HOST}:8080`) },
  'denied-opaque': { text: 'opaque bytes' },
  'direct-admin': { text: closing('/live') },
  'direct-denied': { text: get('/d', `Host: ${HOST}:8080`) },
  'direct-http1': { text: closing('/direct') },
  'direct-no-certificate': { text: closing('/nocert') },
  'direct-upper-sni': { text: closing('/upper') },
  'header-truncated': { text: '', maxMs: 15_000 },
  'header-unknown-fields': { text: closing('/uf') },
  http1: { text: closing('/one') },
  'http1-upgrade': { text: get('/ws', `Host: ${HOST}:8080`, 'Connection: upgrade', 'Upgrade: websocket'), followUp: 'raw bytes' },
  opaque: { text: 'opaque bytes' },
  'opaque-http-bytes-to-http-port': { text: get('/op', `host: ${HOST}:8080`, 'connection: close', 'l5d-client-id: kept') },
  'refused-opaque': { text: 'opaque bytes' },
};

const GROUPS: Readonly<Record<string, string>> = { 'direct-p256-only': 'P-256', 'direct-p521-only': 'P-521' };

const DIRECTORY = join(import.meta.dirname, 'testdata/direct');
const cases = readdirSync(DIRECTORY).map((file) => JSON.parse(readFileSync(join(DIRECTORY, file), 'utf8')) as Captured);

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(() => world.rig.stop());

describe('a foreign peer at the inbound proxy', () => {
  it.concurrent.each(cases.map((captured) => ({ name: captured.name, captured })))(
    '[ID-14] [PROTO-14] $name',
    async ({ name, captured }) => {
      const { differing, known } = compare(await replay(captured), reference(captured), DIRECT_DIFFERENCES[name]);
      expect(differing).toEqual(known);
    },
  );

  it('lists no difference of a case that is not there', () => {
    expect(Object.keys(DIRECT_DIFFERENCES).filter((name) => !cases.some((each) => each.name === name))).toEqual([]);
  });
});

async function replay(captured: Captured): Promise<Flat> {
  const { name, connect, exchanges, sent_header_hex: headerHex } = captured;
  const answer = await world.plain.call('callTls', {
    host: PODS.server,
    port: connect.port,
    sni: connect.sni,
    alpn: connect.alpn,
    ca: world.ca,
    ...credentialsOf(connect.client_certificate),
    ...(GROUPS[name] === undefined ? {} : { groups: GROUPS[name] }),
    ...(name.includes('tls12') ? { version: 'TLSv1.2' as const } : {}),
    ...(headerHex === undefined ? {} : { headerHex }),
    ...(exchanges === undefined
      ? (TEXTS[name] ?? { text: closing('/x', HOST) })
      : { requests: exchanges.map(({ request }) => ({ headers: request, ...bodyOf(request) })) }),
  });
  return flatAnswer(answer);
}

function credentialsOf(identity: string | null): { credentials?: Credentials } {
  if (identity === null) return {};
  const workload = identity.split('.')[0] ?? '';
  return { credentials: world.credentials(workload, workload === 'rogue' ? { isForeign: true } : {}) };
}

/** A POST of the captures had this body; gRPC calls an empty message. */
function bodyOf(request: readonly string[]): { bodyHex?: string } {
  if (!request.includes('POST')) return {};
  return { bodyHex: request.includes('application/grpc') ? '0000000000' : Buffer.from('hello').toString('hex') };
}

function flatAnswer(answer: TlsAnswer): Flat {
  const { handshake, exchanges, goaway, end } = answer;
  return {
    ...(handshake === undefined
      ? { handshake: 'none' }
      : flatHandshake(handshake.protocol, handshake.alpn === 'false' ? '' : handshake.alpn, handshake.serverSan)),
    ...flatHttp1(answer.raw),
    ...Object.assign(
      {},
      ...exchanges.map((each, index) => ({
        ...flatHttp2(`${index}:`, each),
        ...(each.end === 'end of stream' && each.headers !== undefined ? {} : { [`${index}:error`]: lost(each.end) }),
      })),
    ),
    ...flatEnd(goaway, end, handshake !== undefined),
  };
}

function reference(captured: Captured): Flat {
  const { handshake, exchanges = [], goaway, end, error } = captured;
  return {
    ...(handshake === null ? { handshake: 'none' } : flatHandshake(handshake.protocol, handshake.alpn ?? '', handshake.server_certificate)),
    ...flatHttp1(captured.received_text ?? ''),
    ...Object.assign(
      {},
      ...exchanges.map((each, index) => ({
        ...flatHttp2(`${index}:`, { ...each, headers: each.response }),
        ...(each.error === undefined ? {} : { [`${index}:error`]: lost(each.error) }),
      })),
    ),
    ...flatEnd(goaway, error === undefined ? end : `${end} ${error}`, handshake !== null),
  };
}

/** The cipher is not compared: the reference takes the client's first, ours its own first; tls.e2e.ts has both. */
function flatHandshake(protocol: string, alpn: string, san: string): Flat {
  return flatFields('tls.', ['protocol', protocol, 'alpn', alpn, 'san', san]);
}

/** After GOAWAY it is a matter of milliseconds whether the captures saw the end of the connection. */
function flatEnd(goaway: number | undefined, end: string, hasHandshake: boolean): Flat {
  return goaway === undefined ? { end: ended(end, hasHandshake) } : { goaway: String(goaway) };
}

/**
 * A connection that ends under a writer shows in one of several ways, by chance; so does one that ends with bytes unread, as FIN or as RST.
 * The name of an alert depends on the OpenSSL of the peer.
 */
function lost(text: string): string {
  if (/EPIPE|^read ECONNRESET$|pending stream has been canceled|session has been destroyed|^end of stream$/.test(text)) return 'closed';
  return text.replace('SSL/TLS_ALERT', 'SSLV3_ALERT');
}

/** After the handshake FIN and RST are one. */
function ended(text: string, hasHandshake: boolean): string {
  return hasHandshake && text === 'error ECONNRESET' ? 'closed' : lost(text);
}
