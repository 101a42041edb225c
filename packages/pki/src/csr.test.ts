// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildCsr, buildCsrInfo, exportPublicKeyDer, generateKey, parseCsr } from './index.ts';

const vectors = new URL('testdata/vectors/identity/', import.meta.url);
const identity = 'web.vec-dst.serviceaccount.identity.linkerd.cluster.local';

function csrOf(name: string): Buffer {
  const file = JSON.parse(readFileSync(new URL(`${name}.json`, vectors), 'utf8')) as {
    request: { certificate_signing_request_hex: string };
  };
  return Buffer.from(file.request.certificate_signing_request_hex, 'hex');
}

const proxyCsr = Buffer.from(readFileSync(new URL('proxy-csr.hex', vectors), 'utf8').replace(/^#.*$/gm, '').trim(), 'hex');

describe('buildCsr', () => {
  it('[ID-03] builds what a sidecar of the reference builds, but for the signature', () => {
    const parsed = parseCsr(proxyCsr);
    if ('error' in parsed) throw new Error(parsed.error);
    const { commonName, publicKey } = parsed.request;
    expect(commonName).toBe('default.vec-dst.serviceaccount.identity.linkerd.cluster.local');
    const info = buildCsrInfo(commonName, exportPublicKeyDer(publicKey));
    expect(proxyCsr.subarray(4, 4 + info.length).toString('hex')).toBe(info.toString('hex'));
  });

  it('makes requests that parse and verify', () => {
    const { privateKey, publicKey } = generateKey();
    const parsed = parseCsr(buildCsr(identity, privateKey));
    if ('error' in parsed) throw new Error(parsed.error);
    expect(parsed.request.names.dns).toEqual([identity]);
    expect(parsed.request.publicKey.equals(publicKey)).toBe(true);
  });

  it.each(['', 'a.', '.a', 'a b', 'a\0b', 'ä.example', '*.example', 'a'.repeat(254)])('refuses the name %j', (name) => {
    expect(() => buildCsr(name, generateKey().privateKey)).toThrow(/not a DNS name/);
  });
});

describe('parseCsr', () => {
  it.each([
    ['ok', { dns: [identity], emails: [], uris: [], ips: [], otherCount: 0, identities: [identity] }],
    ['ok-p384-key', { dns: [identity] }],
    ['two-dns-names', { dns: [identity, expect.any(String) as string] }],
    ['email-san', { emails: [expect.stringContaining('@') as string] }],
    ['uri-san', { uris: [expect.stringContaining('://') as string] }],
  ])('reads the names of the vector %s', (name, names) => {
    const parsed = parseCsr(csrOf(name));
    expect(parsed).toMatchObject({ request: { names } });
  });

  it('reads IP addresses as octets', () => {
    const parsed = parseCsr(csrOf('ip-san'));
    expect('request' in parsed && parsed.request.names.ips.length).toBe(1);
  });

  it.each([
    ['csr-garbage', /tags don't match|data truncated|trailing/],
    ['csr-truncated', /data truncated/],
  ])('refuses the vector %s', (name, message) => {
    expect(parseCsr(csrOf(name))).toEqual({ flaw: 'encoding', error: expect.stringMatching(message) as string });
  });

  it('tells a request that is not signed with its own key', () => {
    expect(parseCsr(csrOf('csr-bad-signature'))).toMatchObject({ flaw: 'signature' });
  });

  it('refuses a signature by an algorithm of another kind of key', () => {
    const good = buildCsr(identity, generateKeyPairSync('ec', { namedCurve: 'secp384r1' }).privateKey);
    expect(parseCsr(good)).toHaveProperty('request');
    expect(parseCsr(buildCsr(identity, generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey))).toMatchObject({
      flaw: 'signature',
    });
  });

  it.each([
    ['nothing', Buffer.alloc(0), /truncated/],
    ['too many bytes', Buffer.concat([Buffer.from([0x30, 0x83, 0x01, 0, 0]), Buffer.alloc(65_536)]), /larger than/],
    ['a nest', nest(200), /nested deeper/],
    ['many elements', sequenceOf(2_000), /more than 512 elements/],
    ['an indefinite length', Buffer.from([0x30, 0x80, 0, 0]), /indefinite/],
    ['a long form for a short length', Buffer.from([0x30, 0x81, 0x02, 0x05, 0x00]), /non-minimal/],
    ['a length with leading zeros', Buffer.from([0x30, 0x82, 0x00, 0x80, ...new Uint8Array(128)]), /non-minimal/],
    ['trailing bytes', Buffer.concat([proxyCsr, Buffer.from([0])]), /trailing data/],
    ['a high tag number', Buffer.from([0x3f, 0x81, 0x01, 0]), /tag numbers/],
  ])('refuses %s', (_name, bytes, message) => {
    expect(parseCsr(bytes)).toEqual({ flaw: 'encoding', error: expect.stringMatching(message) as string });
  });

  it('never throws and never takes a changed request, whatever bit is flipped', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: proxyCsr.length * 8 - 1 }), (bit) => {
        const bytes = Buffer.from(proxyCsr);
        bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
        expect(parseCsr(bytes)).toHaveProperty('flaw');
      }),
    );
  });

  it('never throws on arbitrary bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(parseCsr(bytes)).toHaveProperty('flaw');
      }),
    );
  });
});

function nest(depth: number): Buffer {
  let bytes = Buffer.from([0x05, 0x00]);
  for (let i = 0; i < depth; i++) {
    const length =
      bytes.length < 128 ? [bytes.length] : bytes.length < 256 ? [0x81, bytes.length] : [0x82, bytes.length >> 8, bytes.length & 0xff];
    bytes = Buffer.concat([Buffer.from([0x30, ...length]), bytes]);
  }
  return bytes;
}

function sequenceOf(count: number): Buffer {
  const contents = Buffer.alloc(count * 2);
  for (let i = 0; i < count; i++) contents[i * 2] = 0x05;
  return Buffer.concat([Buffer.from([0x30, 0x82, contents.length >> 8, contents.length & 0xff]), contents]);
}
