// SPDX-License-Identifier: Apache-2.0
/*
 * `@weft/pki/testing`: certificates of a mesh that exists only in a test. One call makes anchor and issuer; leaves are made on demand, good
 * ones and each kind of bad one that a peer might present (bad-inputs 18).
 */
import type { Buffer } from 'node:buffer';
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createCertificate, type ExtendedKeyUsage, type KeyUsage } from './certificate-builder.ts';
import { buildCsr } from './lean/csr-build.ts';
import { exportPrivateKeyDer, exportPrivateKeyPem, generateKey, isP256, type KeyPair } from './lean/keys.ts';
import { encodePem } from './lean/pem.ts';

/** A CA with its key. */
export interface TestAuthority {
  readonly certificateDer: Buffer;
  readonly certificatePem: string;
  readonly privateKey: KeyObject;
  readonly privateKeyPem: string;
}

/** A leaf with its key and everything that a proxy would hold. */
export interface TestLeaf {
  readonly identity: string;
  readonly privateKey: KeyObject;
  readonly privateKeyPem: string;
  /** PKCS#8, as `key.p8`. */
  readonly privateKeyDer: Buffer;
  readonly certificateDer: Buffer;
  readonly certificatePem: string;
  /** Leaf and issuer, as `node:tls` takes them. */
  readonly chainPem: string;
  /** As Certify answers them: the issuer's certificate. */
  readonly intermediatesDer: readonly Buffer[];
  /** A good request for the same identity and key (a fresh P-256 key where the leaf's is of another kind). */
  readonly csrDer: Buffer;
}

/** How a leaf departs from a good one. */
export interface LeafOverrides {
  readonly isExpired?: boolean;
  readonly isNotYetValid?: boolean;
  /** Default: 24 hours and the usual skew around now. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
  readonly keyUsage?: readonly KeyUsage[];
  readonly extendedKeyUsage?: readonly ExtendedKeyUsage[];
  /** Replaces the DNS name; [] leaves it out. */
  readonly dnsNames?: readonly string[];
  readonly uris?: readonly string[];
  /** Signs with a CA that no anchor knows, of the same name as the mesh's issuer. */
  readonly isForeign?: boolean;
  /** Signs with this CA. */
  readonly issuer?: TestAuthority;
  /** Default P-256. */
  readonly keyKind?: 'p256' | 'p384' | 'ed25519' | 'rsa';
}

/** A mesh's certificates. */
export interface TestMesh {
  readonly trustDomain: string;
  readonly anchor: TestAuthority;
  readonly issuer: TestAuthority;
  readonly trustAnchorsPem: readonly string[];
  /** `<serviceAccount>.<namespace>.serviceaccount.identity.linkerd.<trust domain>`. */
  identityOf(serviceAccount: string, namespace: string): string;
  leafFor(identity: string, overrides?: LeafOverrides): TestLeaf;
}

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** Makes a mesh: anchor and issuer are fresh on each call, so that two meshes never trust each other. */
export function createTestMesh(options: { readonly trustDomain?: string; readonly nowMs?: number } = {}): TestMesh {
  const trustDomain = options.trustDomain ?? 'cluster.local';
  const nowMs = options.nowMs ?? Date.now();
  const anchor = createTestAuthority(`root.linkerd.${trustDomain}`, { nowMs });
  const issuerName = `identity.linkerd.${trustDomain}`;
  const issuer = createTestAuthority(issuerName, { nowMs, parent: anchor });
  let foreign: TestAuthority | undefined;

  const leafFor = (identity: string, overrides: LeafOverrides = {}): TestLeaf => {
    if (overrides.isForeign) foreign ??= createTestAuthority(issuerName, { nowMs });
    const signer = overrides.issuer ?? (overrides.isForeign ? foreign : undefined) ?? issuer;
    const { privateKey, publicKey } = keyOf(overrides.keyKind ?? 'p256');
    let [notBeforeMs, notAfterMs] = [nowMs - 20_000, nowMs + 24 * HOUR_MS + 20_000];
    if (overrides.isExpired) [notBeforeMs, notAfterMs] = [nowMs - 48 * HOUR_MS, nowMs - 24 * HOUR_MS];
    if (overrides.isNotYetValid) [notBeforeMs, notAfterMs] = [nowMs + 24 * HOUR_MS, nowMs + 48 * HOUR_MS];
    const certificateDer = createCertificate(
      {
        subject: identity,
        publicKey,
        notBeforeMs: overrides.notBeforeMs ?? notBeforeMs,
        notAfterMs: overrides.notAfterMs ?? notAfterMs,
        keyUsage: overrides.keyUsage ?? ['digitalSignature', 'keyEncipherment'],
        extendedKeyUsage: overrides.extendedKeyUsage ?? ['serverAuth', 'clientAuth'],
        dnsNames: overrides.dnsNames ?? [identity],
        uris: overrides.uris ?? [],
      },
      { certificateDer: signer.certificateDer, privateKey: signer.privateKey },
    );
    const certificatePem = encodePem('CERTIFICATE', certificateDer);
    return {
      identity,
      privateKey,
      privateKeyPem: exportPrivateKeyPem(privateKey),
      privateKeyDer: exportPrivateKeyDer(privateKey),
      certificateDer,
      certificatePem,
      chainPem: certificatePem + signer.certificatePem,
      intermediatesDer: [signer.certificateDer],
      csrDer: buildCsr(identity, isP256(privateKey) ? privateKey : generateKey().privateKey),
    };
  };

  return {
    trustDomain,
    anchor,
    issuer,
    trustAnchorsPem: [anchor.certificatePem],
    identityOf: (serviceAccount, namespace) => `${serviceAccount}.${namespace}.serviceaccount.identity.linkerd.${trustDomain}`,
    leafFor,
  };
}

/** Makes a CA: self-signed without a parent. */
export function createTestAuthority(
  commonName: string,
  options: { readonly parent?: TestAuthority; readonly nowMs?: number; readonly notAfterMs?: number; readonly pathLength?: number } = {},
): TestAuthority {
  const nowMs = options.nowMs ?? Date.now();
  const { privateKey, publicKey } = generateKey();
  const certificateDer = createCertificate(
    {
      subject: commonName,
      publicKey,
      notBeforeMs: nowMs - YEAR_MS,
      notAfterMs: options.notAfterMs ?? nowMs + YEAR_MS,
      ca: options.pathLength === undefined ? {} : { pathLength: options.pathLength },
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { certificateDer: options.parent?.certificateDer ?? 'self', privateKey: options.parent?.privateKey ?? privateKey },
  );
  return {
    certificateDer,
    certificatePem: encodePem('CERTIFICATE', certificateDer),
    privateKey,
    privateKeyPem: exportPrivateKeyPem(privateKey),
  };
}

function keyOf(kind: 'p256' | 'p384' | 'ed25519' | 'rsa'): KeyPair {
  if (kind === 'p384') return generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  if (kind === 'ed25519') return generateKeyPairSync('ed25519');
  if (kind === 'rsa') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  return generateKey();
}
