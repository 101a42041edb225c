// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTestMesh } from '../testing.ts';
import { encodeDer, encodeOid, encodeSequence } from './der-writer.ts';
import {
  encodePem,
  exportPrivateKeyDer,
  exportPrivateKeyPem,
  generateKey,
  importPrivateKey,
  isP256,
  parseTrustBundle,
  readCertificate,
  readSubjectAltNames,
  splitPem,
  verifyChain,
} from './index.ts';
import { readOid } from './object-identifiers.ts';

const vectors = new URL('../testdata/vectors/identity/', import.meta.url);
const trustRoots = readFileSync(new URL('trust-roots.pem', vectors), 'utf8');
const answer = JSON.parse(readFileSync(new URL('ok.json', vectors), 'utf8')) as {
  response: { leaf_certificate_hex: string; intermediate_certificates_hex: string[] };
};
const leafDer = Buffer.from(answer.response.leaf_certificate_hex, 'hex');
const intermediatesDer = answer.response.intermediate_certificates_hex.map((hex) => Buffer.from(hex, 'hex'));
const identity = 'web.vec-dst.serviceaccount.identity.linkerd.cluster.local';
const mesh = createTestMesh();

describe('a captured answer of the reference', () => {
  it('[ID-03] verifies against the captured trust anchors at its time', () => {
    const { anchorsDer } = parseTrustBundle(trustRoots);
    const nowMs = Date.parse('2026-11-23T12:17:19Z');
    const result = verifyChain({ leafDer, intermediatesDer, anchorsDer, nowMs, purpose: 'server' });
    expect(result).toMatchObject({ notAfterMs: Date.parse('2026-11-24T12:17:39Z') });
    expect(verifyChain({ leafDer, intermediatesDer, anchorsDer, nowMs: nowMs + 90_000_000, purpose: 'server' })).toHaveProperty('error');
    expect(verifyChain({ leafDer, intermediatesDer: [], anchorsDer, nowMs, purpose: 'server' })).toEqual({
      error: 'certificate signed by unknown authority',
    });
  });

  it('[ID-01] names its workload', () => {
    expect(readSubjectAltNames(leafDer)).toEqual({ dns: [identity], uris: [], identities: [identity], isMalformed: false });
  });
});

describe('readSubjectAltNames', () => {
  /** The leaf with its extension replaced: the signature no longer fits, which is not this function's business. */
  function withNames(...entries: Buffer[]): Buffer {
    const value = encodeDer(0x04, encodeSequence(...entries));
    const result = readCertificate(leafDer);
    if ('error' in result) throw new Error(result.error);
    const { fields } = result;
    const extension = encodeSequence(encodeOid('2.5.29.17'), value);
    const algorithm = encodeSequence(encodeOid(fields.signatureAlgorithm));
    const validity = encodeSequence(encodeDer(0x17, Buffer.from('261123121659Z')), encodeDer(0x17, Buffer.from('261124121739Z')));
    const tbs = encodeSequence(
      encodeDer(0xa0, encodeDer(0x02, Buffer.from([2]))),
      encodeDer(0x02, fields.serial),
      algorithm,
      fields.issuer,
      validity,
      fields.subject,
      fields.publicKey,
      encodeDer(0xa3, encodeSequence(extension)),
    );
    return encodeSequence(tbs, algorithm, encodeDer(0x03, Buffer.from([0, 1])));
  }
  const dns = (text: string): Buffer => encodeDer(0x82, Buffer.from(text, 'latin1'));

  it('lower-cases DNS names and keeps URIs', () => {
    expect(readSubjectAltNames(withNames(dns('WEB.Example'), encodeDer(0x86, Buffer.from('spiffe://TD/Path'))))).toMatchObject({
      dns: ['web.example'],
      uris: ['spiffe://TD/Path'],
      identities: ['web.example', 'spiffe://TD/Path'],
    });
  });

  it.each<[string, Buffer[]]>([
    ['a NUL in a name', [dns('good.example\0.evil.example')]],
    ['a comma-forged text is only a character, but a space is refused', [dns('a, DNS:b')]],
    ['a byte above ASCII', [dns('caf\u00e9.example')]],
    ['an empty name', [dns('')]],
    ['an unknown kind', [encodeDer(0x8a, Buffer.from('x'))]],
    ['a short IP address', [encodeDer(0x87, Buffer.from([1, 2, 3]))]],
    ['too many names', Array.from({ length: 65 }, (_, i) => dns(`n${i}.example`))],
  ])('is malformed for %s', (_name, entries) => {
    expect(readSubjectAltNames(withNames(...entries))).toEqual({ dns: [], uris: [], identities: [], isMalformed: true });
  });

  it('has no names for a certificate without the extension', () => {
    const leaf = mesh.leafFor(identity, { dnsNames: [] });
    expect(readSubjectAltNames(leaf.certificateDer)).toEqual({ dns: [], uris: [], identities: [], isMalformed: false });
  });

  it('never throws on a changed certificate', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: leafDer.length - 1 }), fc.integer({ min: 0, max: 255 }), (at, octet) => {
        const bytes = Buffer.from(leafDer);
        bytes[at] = octet;
        expect(readSubjectAltNames(bytes)).toHaveProperty('isMalformed');
      }),
      { numRuns: 500 },
    );
  });

  it('calls a cut certificate malformed, wherever it is cut', () => {
    for (let length = 0; length < leafDer.length; length++) {
      expect(readSubjectAltNames(leafDer.subarray(0, length)).isMalformed).toBe(true);
    }
  });
});

describe('parseTrustBundle', () => {
  const other = mesh.anchor.certificatePem;
  it('[ID-09] takes several anchors, once each, whatever stands around them', () => {
    const bundle = parseTrustBundle(`# old\r\n${trustRoots.replaceAll('\n', '\r\n')}\nSubject: x\n${other}${trustRoots}`);
    expect(bundle.anchorsPem).toEqual([trustRoots.endsWith('\n') ? trustRoots : `${trustRoots}\n`, other]);
  });

  it.each([
    ['nothing', '', 'no PEM certificate found'],
    ['text', 'hello', 'no PEM certificate found'],
    ['a key', exportPrivateKeyPem(generateKey().privateKey), 'block 1 is a PRIVATE KEY'],
    ['a block without end', other.replace(/-----END.*\n/, ''), 'has no END line'],
    ['a second block inside the first', other.replace(/-----END.*\n/, other), 'does not end before the next'],
    ['a body that is not base64', other.replace(/^[A-Za-z0-9+/]/m, '*'), 'is not base64'],
    [
      'a damaged second certificate',
      `${trustRoots}\n${encodePem('CERTIFICATE', leafDer.subarray(0, 100))}`,
      'certificate 2 cannot be parsed',
    ],
  ])('refuses %s', (_name, pem, message) => {
    expect(() => parseTrustBundle(pem)).toThrow(message);
  });
});

describe('keys', () => {
  it('survive PKCS#8 as DER and as PEM', () => {
    const { privateKey, publicKey } = generateKey();
    expect(isP256(privateKey)).toBe(true);
    for (const form of [exportPrivateKeyDer(privateKey), exportPrivateKeyPem(privateKey)]) {
      expect(importPrivateKey(form).publicKey.equals(publicKey)).toBe(true);
    }
  });

  it('[ID-06] come as SEC 1 with a parameters block too', () => {
    const { privateKey, publicKey } = generateKey();
    const sec1 = privateKey.export({ type: 'sec1', format: 'pem' });
    const withParameters = `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${sec1}`;
    expect(importPrivateKey(withParameters).publicKey.equals(publicKey)).toBe(true);
  });

  it('are not echoed when they cannot be read', () => {
    expect(() => importPrivateKey('-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n')).toThrow(/^not a private key/);
  });
});

describe('pem', () => {
  it('is split into what was encoded', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 5 }), (bodies) => {
        const text = bodies.map((body) => encodePem('X', body)).join('');
        expect(splitPem(text).map((block) => Buffer.from(block.der))).toEqual(bodies.map((body) => Buffer.from(body)));
      }),
    );
  });
});

describe('object identifiers', () => {
  it('are read as they were written', () => {
    const arc = fc.integer({ min: 0, max: 2 ** 31 });
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 2 }),
        fc.integer({ min: 0, max: 39 }),
        fc.array(arc, { maxLength: 6 }),
        (root, second, rest) => {
          const dotted = [root, second, ...rest].join('.');
          expect(readOid(encodeOid(dotted).subarray(2))).toBe(dotted);
        },
      ),
    );
  });

  it.each([[[]], [[0x80, 0x01]], [[0x2a, 0x86]], [Array.from({ length: 12 }, () => 0xff)]])('are refused when malformed: %j', (octets) => {
    expect(readOid(Uint8Array.from(octets))).toBe('');
  });
});

describe('@weft/pki/lean', () => {
  const forgeModules = (entry: string): string => {
    const script = `await import(${JSON.stringify(new URL(entry, import.meta.url).href)});
      const { createRequire } = await import('node:module');
      const { cache } = createRequire(${JSON.stringify(import.meta.url)});
      console.log(Object.keys(cache).some((path) => path.includes('node-forge')));`;
    return execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }).trim();
  };

  it('does not load node-forge, unlike the whole package', () => {
    expect(forgeModules('index.ts')).toBe('false');
    expect(forgeModules('../index.ts')).toBe('true');
  });
});
