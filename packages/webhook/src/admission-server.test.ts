// SPDX-License-Identifier: Apache-2.0
import { request as httpsRequest } from 'node:https';
import { connect as tlsConnect } from 'node:tls';
import { connect as tcpConnect } from 'node:net';
import { Buffer } from 'node:buffer';
import { createTestMesh, type TestLeaf } from '@weft/pki/testing';
import { Logger } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { startAdmissionServer, type AdmissionServerOptions } from './admission-server.ts';
import { CertificateHolder } from './certificate-holder.ts';
import type { AdmissionRequest, ServerCertificate } from './types.ts';

const mesh = createTestMesh();
const leaf = mesh.leafFor('hook.mesh.svc');
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const silent = Logger.create({ filter: 'off', write: () => undefined });
const pairOf = ({ chainPem, privateKeyPem }: TestLeaf): ServerCertificate => ({ certificatePem: chainPem, privateKeyPem });

function holding(pair?: ServerCertificate): CertificateHolder & { close(): void } {
  const holder = new CertificateHolder();
  if (pair !== undefined) holder.set(pair);
  return Object.assign(holder, { close: () => undefined });
}

async function start(options: Partial<AdmissionServerOptions> = {}): Promise<number> {
  const server = await startAdmissionServer({
    listen: { host: '127.0.0.1', port: 0 },
    certificates: holding(pairOf(leaf)),
    review: () => ({ allowed: true }),
    logger: silent,
    ...options,
    limits: { lameDuckMs: 0, drainMs: 200, ...options.limits },
  });
  cleanups.push(() => server.close());
  return server.port;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

function post(port: number, body: string | Uint8Array, path = '/'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest(
      { host: '127.0.0.1', port, path, method: 'POST', servername: 'hook.mesh.svc', ca: mesh.trustAnchorsPem as string[], agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}

function reviewOf(version = 'v1', request: object = {}): string {
  return JSON.stringify({ apiVersion: `admission.k8s.io/${version}`, kind: 'AdmissionReview', request: { uid: 'u-1', ...request } });
}

describe('an admission server', () => {
  it.each(['v1', 'v1beta1'])('[INJ-01] answers a %s review with the same review and a response', async (version) => {
    const seen: AdmissionRequest[] = [];
    const port = await start({
      review: (request) => {
        seen.push(request);
        return { allowed: true, patch: [{ op: 'add', path: '/metadata/labels/a', value: 'b' }], warnings: ['mind the gap'] };
      },
    });
    const request = {
      kind: { group: '', version: 'v1', kind: 'Pod' },
      namespace: 'shop',
      operation: 'CREATE',
      object: { a: 1 },
      dryRun: true,
    };
    const { status, body } = await post(port, reviewOf(version, request), '/any/path');
    expect(status).toBe(200);
    const patch = Buffer.from('[{"op":"add","path":"/metadata/labels/a","value":"b"}]').toString('base64');
    expect(JSON.parse(body)).toEqual({
      apiVersion: `admission.k8s.io/${version}`,
      kind: 'AdmissionReview',
      request: { uid: 'u-1', ...request },
      response: { uid: 'u-1', allowed: true, patch, patchType: 'JSONPatch', warnings: ['mind the gap'] },
    });
    expect(seen).toEqual([
      {
        uid: 'u-1',
        kind: { group: '', version: 'v1', kind: 'Pod' },
        resource: { group: '', version: '', resource: '' },
        namespace: 'shop',
        operation: 'CREATE',
        object: { a: 1 },
        oldObject: null,
        dryRun: true,
        userInfo: { username: '', groups: [] },
      },
    ]);
  });

  it('turns a refusal, a throw and a rejection into allowed: false', async () => {
    const reviews = [
      () => ({ allowed: false, message: 'no', code: 400 }),
      () => {
        throw new Error('broken values');
      },
      () => Promise.reject(new Error('later')),
    ];
    const responses: unknown[] = [];
    for (const review of reviews) {
      const { body } = await post(await start({ review, echoesRequest: false }), reviewOf());
      responses.push(JSON.parse(body));
    }
    const whole = (status: object): object => ({
      apiVersion: 'admission.k8s.io/v1',
      kind: 'AdmissionReview',
      response: { uid: 'u-1', allowed: false, status },
    });
    expect(responses).toEqual([whole({ code: 400, message: 'no' }), whole({ message: 'broken values' }), whole({ message: 'later' })]);
  });

  it.each([
    ['an empty body', '', 200],
    ['no JSON', '{', 400],
    ['another kind', '{"kind":"Pod","apiVersion":"v1"}', 400],
    ['another version', reviewOf('v2'), 400],
    ['a list', '[]', 400],
    ['no request', '{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1"}', 400],
    ['no uid', reviewOf('v1', { uid: '' }), 400],
    ['a uid that is no text', reviewOf('v1', { uid: 7 }), 400],
    ['deep nesting', '['.repeat(200_000), 400],
    ['a body over the limit', Buffer.alloc(2_000_001, 32), 500],
  ])('answers %s', async (_what, body, status) => {
    const port = await start({ limits: { maxBodyBytes: 2_000_000 } });
    expect((await post(port, body)).status).toBe(status);
    expect((await post(port, reviewOf())).status).toBe(200);
  });

  it('answers deep nesting inside a review without falling over', async () => {
    const port = await start();
    const deep = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","object":${'['.repeat(50_000)}${']'.repeat(50_000)}}}`;
    await post(port, deep).catch(() => undefined);
    expect((await post(port, reviewOf())).status).toBe(200);
  });

  it('refuses bodies of unknown length over the limit, and with 503 what all requests together may not hold', async () => {
    const send = (port: number): Promise<number> =>
      new Promise((resolve, reject) => {
        const request = httpsRequest({ host: '127.0.0.1', port, method: 'POST', rejectUnauthorized: false, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on('error', reject);
        request.write(Buffer.alloc(10_000));
      });
    expect(await send(await start({ limits: { maxBodyBytes: 5_000 } }))).toBe(500);
    expect(await send(await start({ limits: { maxBufferedBytes: 5_000 } }))).toBe(503);
  });

  it('serves one path only where one is named', async () => {
    const port = await start({ path: '/' });
    expect([(await post(port, reviewOf(), '/other')).status, (await post(port, reviewOf(), '/?timeout=10s')).status]).toEqual([404, 200]);
  });

  it('takes TLS 1.3 only', async () => {
    const port = await start();
    const error = await new Promise((resolve) => {
      tlsConnect({ host: '127.0.0.1', port, maxVersion: 'TLSv1.2', rejectUnauthorized: false }).on('error', resolve);
    });
    expect(String(error)).toMatch(/protocol version/i);
  });

  it.each([
    ['says nothing', (): string => ''],
    ['speaks no TLS', (): string => 'GET / HTTP/1.1\r\n\r\n'],
  ])('ends a connection that %s, and serves others meanwhile', async (_what, bytes) => {
    const port = await start({ limits: { handshakeTimeoutMs: 100 } });
    const socket = tcpConnect(port, '127.0.0.1').on('error', () => undefined);
    socket.write(bytes());
    const closed = new Promise((resolve) => socket.resume().on('close', resolve));
    expect((await post(port, reviewOf())).status).toBe(200);
    await closed;
  });

  it.each([
    ['header section', 'POST / HTTP/1.1\r\nhost: a\r\n'],
    ['body', 'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{'],
  ])('ends a connection whose %s never ends', async (_what, head) => {
    const port = await start({ limits: { headersTimeoutMs: 100, requestTimeoutMs: 200 } });
    const socket = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false }).on('error', () => undefined);
    socket.write(head);
    await new Promise((resolve) => socket.resume().on('close', resolve));
    expect((await post(port, reviewOf())).status).toBe(200);
  });

  it('closes connections over the limit', async () => {
    const port = await start({ limits: { maxConnections: 1 } });
    const first = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await new Promise((resolve) => first.once('secureConnect', resolve));
    await expect(post(port, reviewOf())).rejects.toThrow(/disconnected|reset|hang up/);
    first.destroy();
  });

  it('serves new handshakes with a new certificate, and established connections go on', async () => {
    const certificates = holding(pairOf(leaf));
    const port = await start({ certificates });
    const old = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await new Promise((resolve) => old.once('secureConnect', resolve));
    const next = mesh.leafFor('hook.mesh.svc');
    certificates.set(pairOf(next));
    const fresh = tlsConnect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await new Promise((resolve) => fresh.once('secureConnect', resolve));
    expect(fresh.getPeerX509Certificate()?.raw.equals(next.certificateDer)).toBe(true);
    const body = reviewOf();
    old.write(`POST / HTTP/1.1\r\nhost: a\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
    const answered = await new Promise<Buffer>((resolve) => old.once('data', resolve));
    expect(String(answered)).toMatch(/^HTTP\/1.1 200/);
    for (const socket of [old, fresh]) socket.destroy();
  });

  it('answers while its end becomes known, and lets reviews under way end', async () => {
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const server = await startAdmissionServer({
      listen: { host: '127.0.0.1', port: 0 },
      certificates: holding(pairOf(leaf)),
      logger: silent,
      limits: { lameDuckMs: 100 },
      review: async () => {
        enter();
        await gate;
        return { allowed: true };
      },
    });
    const answered = post(server.port, reviewOf());
    await entered;
    const closed = server.close();
    open();
    expect((await answered).status).toBe(200);
    // API servers may not have heard of it yet.
    expect((await post(server.port, reviewOf())).status).toBe(200);
    await closed;
    await expect(post(server.port, reviewOf())).rejects.toThrow(/ECONNREFUSED/);
  });
});
