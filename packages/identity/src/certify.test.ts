// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { GRPC_CODES, GrpcStatusError } from '@weft/grpc-server';
import {
  createCertificate,
  createLocalTokenIssuer,
  createLocalTokenReviewer,
  encodePem,
  exportPrivateKeyPem,
  generateKey,
  readCertificate,
  verifyChain,
  type TokenReviewer,
} from '@weft/pki';
import { CertifyRequestSchema, type CertifyResponse } from '@weft/proto/identity';
import { Logger } from '@weft/telemetry';
import { afterAll, describe, expect, it } from 'vitest';
import type { EventRecorder } from './events.ts';
import { IdentityService } from './identity-service.ts';
import type { MaterialSource } from './material.ts';

interface VectorCase {
  readonly request: {
    readonly identity: string;
    readonly token:
      | string
      | { readonly note: string; readonly claims?: { readonly aud: string[]; readonly iss: string; readonly sub: string } };
    readonly certificate_signing_request_hex: string;
  };
  readonly status: { readonly code: number; readonly details: string };
  readonly response?: {
    readonly leaf_certificate_hex: string;
    readonly intermediate_certificates_hex: readonly string[];
    readonly valid_until: { readonly seconds: string };
  };
  readonly received_at?: string;
}

const directory = new URL('testdata/vectors/identity/', import.meta.url);
const cases = readdirSync(directory)
  .filter((file) => file.endsWith('.json'))
  .map((file) => [file.slice(0, -5), JSON.parse(readFileSync(new URL(file, directory), 'utf8')) as VectorCase] as const);

/** The second in which the captured cluster answered. */
const nowMs = Date.parse('2026-11-23T12:17:19Z');
const now = (): number => nowMs;
const names = { controllerNamespace: 'linkerd', trustDomain: 'cluster.local' };

/** Cases where we differ, each with its reason in DIFFERENCES.md; the code stays the reference's unless one is given. */
const DIFFERENCES: Readonly<Record<string, { readonly code?: number; readonly details: RegExp }>> = {
  'csr-bad-signature': { code: GRPC_CODES.INVALID_ARGUMENT, details: /not signed with its own key/ },
  'csr-garbage': { details: /^asn1: / },
  'csr-pem': { details: /^asn1: / },
  'ed25519-key': { details: /^CSR must contain an ECDSA public key: ed25519$/ },
  'rsa-key': { details: /^CSR must contain an ECDSA public key: rsa$/ },
  'token-bad-signature': { details: /^\[invalid bearer token, token signature is invalid\]$/ },
};

// The captured issuer's names and times with keys of our own: theirs were thrown away.
const captured = cases.find(([name]) => name === 'ok')?.[1].response;
const [capturedIssuer] = captured?.intermediate_certificates_hex.map((hex) => Buffer.from(hex, 'hex')) ?? [];
const anchorKey = generateKey();
const issuerKey = generateKey();
const fieldsOf = (der: Uint8Array) => {
  const result = readCertificate(der);
  if ('error' in result) throw new Error(result.error);
  return result.fields;
};
const issuerFields = fieldsOf(capturedIssuer as Buffer);
const anchorDer = createCertificate(
  {
    subject: issuerFields.issuer,
    publicKey: anchorKey.publicKey,
    notBeforeMs: issuerFields.notBeforeMs,
    notAfterMs: nowMs + 3_000 * 86_400_000,
    ca: {},
    keyUsage: ['keyCertSign', 'cRLSign'],
  },
  { certificateDer: 'self', privateKey: anchorKey.privateKey },
);
const issuerDer = createCertificate(
  {
    subject: issuerFields.subject,
    publicKey: issuerKey.publicKey,
    notBeforeMs: issuerFields.notBeforeMs,
    notAfterMs: issuerFields.notAfterMs,
    ca: { pathLength: 0 },
    keyUsage: ['keyCertSign', 'cRLSign'],
    dnsNames: ['identity.linkerd.cluster.local'],
  },
  { certificateDer: anchorDer, privateKey: anchorKey.privateKey },
);

function fixed(location: string, texts: Readonly<Record<string, string>>): MaterialSource {
  return { location, read: () => Promise.resolve(texts), watch: () => ({ close: () => undefined }) };
}

const tokenKey = generateKey();
const tokens = createLocalTokenIssuer({ privateKey: tokenKey.privateKey, now });
const recorded: { reason: string; subject: string; message: string }[] = [];
const events: EventRecorder = {
  record: (subject, _type, reason, message) =>
    recorded.push({ reason, subject: `${subject.kind}/${subject.namespace}/${subject.name}`, message }),
};

function start(
  overrides: { reviewer?: TokenReviewer; issuerPem?: string; keyPem?: string; lifetimeMs?: number; clock?: () => number } = {},
) {
  return IdentityService.start({
    domain: names,
    issuer: fixed('issuer', {
      'crt.pem': overrides.issuerPem ?? encodePem('CERTIFICATE', issuerDer),
      'key.pem': overrides.keyPem ?? exportPrivateKeyPem(issuerKey.privateKey),
    }),
    issuerScheme: 'linkerd.io/tls',
    trustAnchors: fixed('anchors', { 'ca-bundle.crt': encodePem('CERTIFICATE', anchorDer) }),
    reviewer: overrides.reviewer ?? createLocalTokenReviewer({ keys: [tokenKey.publicKey], now }),
    clockSkewMs: 20_000,
    ...(overrides.lifetimeMs === undefined ? {} : { issuanceLifetimeMs: overrides.lifetimeMs }),
    events,
    logger: Logger.silent(),
    now: overrides.clock ?? now,
  });
}

function tokenOf(token: VectorCase['request']['token']): string {
  if (typeof token === 'string') return token;
  const [, , namespace = 'vec-dst', serviceAccount = 'web'] = token.claims?.sub.split(':') ?? [];
  const good = tokens.issue({ namespace, serviceAccount, audiences: token.claims?.aud ?? ['identity.l5d.io'], lifetimeSeconds: 3600 });
  if (token.claims !== undefined) return good;
  // "A valid token whose signature was altered".
  const at = good.lastIndexOf('.') + 5;
  return good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1);
}

interface Answer {
  readonly code: number;
  readonly details: string;
  readonly response?: CertifyResponse;
}

async function ask(service: IdentityService, identity: string, token: string, csr: Uint8Array): Promise<Answer> {
  try {
    const request = create(CertifyRequestSchema, { identity, token: Buffer.from(token), certificateSigningRequest: csr });
    return { code: GRPC_CODES.OK, details: '', response: await service.certify(request) };
  } catch (error) {
    if (!(error instanceof GrpcStatusError)) throw error;
    return { code: error.code, details: error.details };
  }
}

/** A certificate but for what is ours: keys, signature, serial, and the string type inside names. */
function shape(der: Uint8Array): unknown {
  const fields = fieldsOf(der);
  return {
    algorithm: fields.signatureAlgorithm,
    times: [fields.notBeforeMs, fields.notAfterMs],
    subject: textsOf(fields.subject),
    issuer: textsOf(fields.issuer),
    extensions: fields.extensions
      .map(({ oid, isCritical, value }) => [oid, isCritical, oid === '2.5.29.35' ? value.length : Buffer.from(value).toString('hex')])
      .toSorted((a, b) => String(a[0]).localeCompare(String(b[0]))),
  };
}

// Object identifiers and texts of a Name, in order, without the tags of the texts.
function textsOf(name: Uint8Array): string {
  return Buffer.from(name).toString('latin1').replaceAll('\x0c', '\x13');
}

const service = await start();
afterAll(() => service.close());
const ok = cases.find(([name]) => name === 'ok')?.[1] as VectorCase;
const okCsr = Buffer.from(ok.request.certificate_signing_request_hex, 'hex');

describe('Certify, every captured case', () => {
  it('are all there', () => {
    expect(cases.length).toBe(30);
  });

  it.each(cases)('[ID-03] %s', async (name, { request, status }) => {
    const csr = Buffer.from(request.certificate_signing_request_hex, 'hex');
    const answer = await ask(service, request.identity, tokenOf(request.token), csr);
    const difference = DIFFERENCES[name];
    const details = difference?.details ?? new RegExp(`^${RegExp.escape(status.details)}$`);
    expect(answer.code).toBe(difference?.code ?? status.code);
    expect(answer.details).toMatch(details);
  });

  const issued = cases.filter(([name, { response }]) => response !== undefined && DIFFERENCES[name]?.code === undefined);
  it.each(issued)('[ID-03] %s: the certificate has the same contents', async (_name, { request, response }) => {
    if (response === undefined) throw new Error('no response captured');
    const answer = await ask(
      service,
      request.identity,
      tokenOf(request.token),
      Buffer.from(request.certificate_signing_request_hex, 'hex'),
    );
    const { leafCertificate = new Uint8Array(), intermediateCertificates = [], validUntil } = answer.response ?? {};
    expect(shape(leafCertificate)).toEqual(shape(Buffer.from(response.leaf_certificate_hex, 'hex')));
    expect(Buffer.from(fieldsOf(leafCertificate).publicKey).toString('hex')).toBe(
      Buffer.from(fieldsOf(Buffer.from(response.leaf_certificate_hex, 'hex')).publicKey).toString('hex'),
    );
    expect(intermediateCertificates.length).toBe(response.intermediate_certificates_hex.length);
    expect(String(validUntil?.seconds)).toBe(response.valid_until.seconds);
    const chain = verifyChain({
      leafDer: leafCertificate,
      intermediatesDer: intermediateCertificates,
      anchorsDer: [anchorDer],
      nowMs,
      purpose: 'client',
    });
    expect(chain).toHaveProperty('path');
  });
});

describe('Certify', () => {
  const web = tokens.issue({ namespace: 'vec-dst', serviceAccount: 'web', audiences: ['identity.l5d.io'], lifetimeSeconds: 3600 });

  it('[ID-07] tells the service account of its certificate', async () => {
    recorded.length = 0;
    await ask(service, ok.request.identity, web, okCsr);
    expect(recorded).toEqual([
      {
        reason: 'IssuedLeafCertificate',
        subject: 'ServiceAccount/vec-dst/web',
        message: expect.stringMatching(/until 2026-11-24T12:17:39.000Z: [0-9a-f]{64}$/) as string,
      },
    ]);
  });

  it.each([
    ['the lifetime asked for', 120_000, nowMs + 120_000 + 20_000],
    ["no longer than the issuer's", 1_000 * 86_400_000, issuerFields.notAfterMs],
  ])('[ID-04] lets a leaf live for %s', async (_name, lifetimeMs, expected) => {
    const limited = await start({ lifetimeMs });
    const { response } = await ask(limited, ok.request.identity, web, okCsr);
    expect(Number(response?.validUntil?.seconds) * 1000).toBe(expected);
    expect(fieldsOf(response?.leafCertificate ?? new Uint8Array()).notAfterMs).toBe(expected);
    limited.close();
  });

  it.each<[string, { authenticated: boolean; username: string; error?: string } | Error, number, RegExp]>([
    ['an API server that is away', new Error('away'), GRPC_CODES.INTERNAL, /could not be reviewed/],
    [
      'a token that is not authenticated',
      { authenticated: false, username: '' },
      GRPC_CODES.FAILED_PRECONDITION,
      /could not be authenticated/,
    ],
    [
      'the error of a review',
      { authenticated: false, username: '', error: 'words of the API server' },
      GRPC_CODES.INVALID_ARGUMENT,
      /^words of the API server$/,
    ],
    ['a user', { authenticated: true, username: 'system:admin' }, GRPC_CODES.INVALID_ARGUMENT, /not that of an account/],
    ['a node', { authenticated: true, username: 'system:node:n:1' }, GRPC_CODES.FAILED_PRECONDITION, /did not match/],
    [
      'an account with a dot',
      { authenticated: true, username: 'system:serviceaccount:vec-dst:we.b' },
      GRPC_CODES.INVALID_ARGUMENT,
      /not that of an account/,
    ],
    [
      'five parts',
      { authenticated: true, username: 'system:serviceaccount:vec-dst:web:x' },
      GRPC_CODES.INVALID_ARGUMENT,
      /not that of an account/,
    ],
    [
      'another cluster',
      { authenticated: true, username: 'x:serviceaccount:vec-dst:web' },
      GRPC_CODES.INVALID_ARGUMENT,
      /not that of an account/,
    ],
  ])('[ID-03] answers for %s', async (_name, review, code, details) => {
    const reviewer: TokenReviewer = { review: () => (review instanceof Error ? Promise.reject(review) : Promise.resolve(review)) };
    const reviewed = await start({ reviewer });
    expect(await ask(reviewed, ok.request.identity, 'token', okCsr)).toEqual({ code, details: expect.stringMatching(details) as string });
    reviewed.close();
  });

  it('asks for its audience first and without one only when told so', async () => {
    const asked: (readonly string[])[] = [];
    const reviewer: TokenReviewer = {
      review: (_token, audiences) => {
        asked.push(audiences);
        return Promise.resolve({
          authenticated: false,
          username: '',
          error: audiences.length > 0 ? 'token audiences [] is invalid' : 'no',
        });
      },
    };
    const reviewed = await start({ reviewer });
    expect((await ask(reviewed, ok.request.identity, 'token', okCsr)).details).toBe('no');
    expect(asked).toEqual([['identity.l5d.io'], []]);
    reviewed.close();
  });

  it('[ID-07] refuses with Unknown once its issuer has expired', async () => {
    let clockMs = nowMs;
    const aging = await start({ clock: () => clockMs });
    expect((await ask(aging, ok.request.identity, web, okCsr)).code).toBe(GRPC_CODES.OK);
    clockMs = issuerFields.notAfterMs + 1_000;
    recorded.length = 0;
    const answer = await ask(aging, ok.request.identity, web, okCsr);
    expect([answer.code, recorded.map((event) => `${event.reason} ${event.subject}`)]).toEqual([
      GRPC_CODES.UNKNOWN,
      ['IssuerValidationFailed Deployment/linkerd/linkerd-identity'],
    ]);
    expect(aging.issuerTtlSeconds()).toBe(-1);
    aging.close();
  });
});

describe('start', () => {
  const other = generateKey();
  it.each<[string, { issuerPem?: string; keyPem?: string }, RegExp]>([
    ['a key that does not match', { keyPem: exportPrivateKeyPem(other.privateKey) }, /private key does not match/],
    ['a key that is none', { keyPem: 'x' }, /not a private key/],
    ['no certificate', { issuerPem: '' }, /no PEM certificate found/],
    ['an issuer of another anchor', { issuerPem: encodePem('CERTIFICATE', foreignIssuer()) }, /unknown authority/],
    ['an issuer that is no CA', { issuerPem: encodePem('CERTIFICATE', leafIssuer()) }, /not a CA/],
  ])('[ID-06] fails for %s', async (_name, overrides, message) => {
    await expect(start(overrides)).rejects.toThrow(message);
  });

  it('[ID-05] [ID-06] takes an RSA anchor above an ECDSA issuer, and the file names of the other scheme', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const validity = { notBeforeMs: 0, notAfterMs: nowMs + 1e9, ca: {}, keyUsage: ['keyCertSign'] as const };
    const rsaDer = createCertificate(
      { ...validity, subject: 'rsa', publicKey: rsa.publicKey },
      { certificateDer: 'self', privateKey: rsa.privateKey },
    );
    const belowDer = createCertificate(
      { ...validity, subject: 'below', publicKey: issuerKey.publicKey },
      { certificateDer: rsaDer, privateKey: rsa.privateKey },
    );
    const tls = await IdentityService.start({
      domain: names,
      issuer: fixed('issuer', { 'tls.crt': encodePem('CERTIFICATE', belowDer), 'tls.key': exportPrivateKeyPem(issuerKey.privateKey) }),
      issuerScheme: 'kubernetes.io/tls',
      trustAnchors: fixed('anchors', { 'ca-bundle.crt': encodePem('CERTIFICATE', rsaDer) }),
      reviewer: createLocalTokenReviewer({ keys: [tokenKey.publicKey], now }),
      events,
      logger: Logger.silent(),
      now,
    });
    const token = tokens.issue({ namespace: 'vec-dst', serviceAccount: 'web', audiences: ['identity.l5d.io'], lifetimeSeconds: 60 });
    const { response } = await ask(tls, ok.request.identity, token, okCsr);
    const { leafCertificate = new Uint8Array(), intermediateCertificates = [] } = response ?? {};
    expect(
      verifyChain({ leafDer: leafCertificate, intermediatesDer: intermediateCertificates, anchorsDer: [rsaDer], nowMs, purpose: 'server' }),
    ).toHaveProperty('path');
    tls.close();
  });

  function foreignIssuer(): Buffer {
    const { privateKey } = generateKey();
    return createCertificate(
      { subject: issuerFields.subject, publicKey: issuerKey.publicKey, notBeforeMs: 0, notAfterMs: nowMs + 1e9, ca: {} },
      { certificateDer: anchorDer, privateKey },
    );
  }

  function leafIssuer(): Buffer {
    return createCertificate(
      {
        subject: issuerFields.subject,
        publicKey: issuerKey.publicKey,
        notBeforeMs: 0,
        notAfterMs: nowMs + 1e9,
      },
      { certificateDer: anchorDer, privateKey: anchorKey.privateKey },
    );
  }
});
