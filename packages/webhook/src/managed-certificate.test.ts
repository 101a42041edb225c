// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { createTestAuthority, createTestMesh } from '@weft/pki/testing';
import { splitPem } from '@weft/pki';
import { describe, expect, it } from 'vitest';
import { isTrustedBy, judgeSecret, makeSecretData, MANAGED_CERTIFICATE_DEFAULTS, MAX_PREVIOUS_CAS } from './managed-certificate.ts';
import { selfSignedSecret } from './testing/self-signed-secret.ts';

const NAME = 'hook.mesh.svc';
const NOW_MS = Date.parse('2026-11-23T12:00:00Z');
const times = MANAGED_CERTIFICATE_DEFAULTS;
const made = (nowMs: number, previous?: Parameters<typeof makeSecretData>[3]): ReturnType<typeof makeSecretData> =>
  makeSecretData(NAME, nowMs, times, previous);
const base64 = (text: string): string => Buffer.from(text).toString('base64');

function good(
  data: Readonly<Record<string, string>>,
  nowMs: number = NOW_MS,
): Extract<ReturnType<typeof judgeSecret>, { certificate: unknown }>['certificate'] {
  const verdict = judgeSecret(data, NAME, nowMs);
  if ('flaw' in verdict) throw new Error(verdict.flaw);
  return verdict.certificate;
}

describe('a certificate that is made', () => {
  it('is good from now to the end of its lifetime, for its name only', () => {
    const data = made(NOW_MS);
    expect(good(data).notAfterMs).toBe(NOW_MS + times.lifetimeMs);
    expect(judgeSecret(data, NAME, NOW_MS - times.backdateMs - 1_000)).toEqual({ flaw: 'the certificate is not valid at this time' });
    expect(judgeSecret(data, NAME, NOW_MS + times.lifetimeMs)).toEqual({ flaw: 'the certificate is not valid at this time' });
    expect(judgeSecret(data, 'other.mesh.svc', NOW_MS)).toEqual({ flaw: 'the certificate is not for other.mesh.svc' });
  });

  it('keeps the CAs before it in the bundle, the newest first, until they end', () => {
    let certificate = good(made(NOW_MS));
    const first = certificate;
    const second = good(made(NOW_MS + 1_000, first), NOW_MS + 1_000);
    expect(isTrustedBy(first.pair, second.caBundlePem, NAME, NOW_MS + 1_000)).toBe(true);
    expect(isTrustedBy(second.pair, first.caBundlePem, NAME, NOW_MS + 1_000)).toBe(false);
    for (let count = 0; count < MAX_PREVIOUS_CAS + 2; count += 1) certificate = good(made(NOW_MS, certificate));
    expect(splitPem(certificate.caBundlePem)).toHaveLength(MAX_PREVIOUS_CAS + 1);
    const late = NOW_MS + times.lifetimeMs + 1_000;
    expect(splitPem(good(made(late, certificate), late).caBundlePem)).toHaveLength(1);
  });
});

describe('judgeSecret', () => {
  const data = made(NOW_MS);

  it('accepts the self-signed certificate of the reference without a CA, and bundles it', () => {
    const mesh = createTestMesh({ nowMs: NOW_MS });
    const own = mesh.leafFor(NAME);
    const authority = createTestAuthority(NAME, { nowMs: NOW_MS });
    const selfSigned = selfSignedSecret(NAME, NOW_MS, NOW_MS + times.lifetimeMs);
    expect(good(selfSigned).caBundlePem).toBe(Buffer.from(selfSigned['tls.crt'] ?? '', 'base64').toString());
    expect(judgeSecret({ 'tls.crt': base64(own.certificatePem), 'tls.key': base64(own.privateKeyPem) }, NAME, NOW_MS)).toEqual({
      flaw: 'ca.crt is missing',
    });
    expect(judgeSecret({ 'tls.crt': base64(authority.certificatePem), 'tls.key': base64(authority.privateKeyPem) }, NAME, NOW_MS)).toEqual({
      flaw: `the certificate is not for ${NAME}`,
    });
  });

  it('accepts a chain of another issuer with its CA', () => {
    const mesh = createTestMesh({ nowMs: NOW_MS });
    const leaf = mesh.leafFor(NAME);
    const secret = {
      'tls.crt': base64(leaf.chainPem),
      'tls.key': base64(leaf.privateKeyPem),
      'ca.crt': base64(mesh.anchor.certificatePem),
    };
    expect(good(secret).caBundlePem).toBe(mesh.anchor.certificatePem);
  });

  it.each([
    ['nothing', {}, /missing/],
    ['no key', { 'tls.crt': data['tls.crt'] ?? '' }, /missing/],
    ['no PEM', { ...data, 'tls.crt': base64('garbage') }, /./],
    ['another key', { ...data, 'tls.key': made(NOW_MS)['tls.key'] ?? '' }, /key/i],
    ['another CA', { ...data, 'ca.crt': made(NOW_MS)['ca.crt'] ?? '' }, /does not verify/],
    ['half a CA', { ...data, 'ca.crt': base64('-----BEGIN CERTIFICATE-----\nMIIB') }, /END/],
    ['no base64', { 'tls.crt': '\u0000', 'tls.key': '%%%' }, /missing/],
    ['values that are no texts', { 'tls.crt': 7, 'tls.key': null } as unknown as Record<string, string>, /missing/],
  ])('refuses a Secret with %s', (_what, secret, flaw) => {
    const verdict = judgeSecret(secret, NAME, NOW_MS);
    expect('flaw' in verdict ? verdict.flaw : 'good').toMatch(flaw);
    expect('flaw' in verdict ? verdict.flaw : '').not.toMatch(/PRIVATE KEY/);
  });
});
