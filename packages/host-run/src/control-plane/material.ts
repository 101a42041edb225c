// SPDX-License-Identifier: Apache-2.0
/*
 * Keys and certificates of a run's mesh (control-contract §2): trust anchor and issuer as `linkerd install` makes them, and the key that signs
 * service account tokens. Made once, kept in the run's state directory for its user alone, made anew before they expire.
 */
import { chownSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createPublicKey } from 'node:crypto';
import { join } from 'node:path';
import { createCertificate, encodePem, exportPrivateKeyPem, generateKey, readCertificate, splitPem } from '@weft/pki';
import { CONTROL_NAMESPACE, CONTROLLER_UID } from '../pod/proxy-settings.ts';

const DAY_MS = 86_400_000;
const LIFETIME_MS = 365 * DAY_MS;
/** Made anew when less than this is left. */
const RENEW_WITHIN_MS = 30 * DAY_MS;
/** Clocks of one machine agree; leaves are backdated by 20 s. */
const BACKDATE_MS = 60_000;

/** Files and values that the control plane is started with. */
export interface MeshMaterial {
  readonly trustAnchorsPem: string;
  /** Directory with `crt.pem` and `key.pem`. */
  readonly issuerDirectory: string;
  /** Directory with `ca-bundle.crt`. */
  readonly trustRootsDirectory: string;
  /** Private key that signs tokens, PEM. */
  readonly tokenKeyPem: string;
  /** File with its public half. */
  readonly tokenPublicKeyFile: string;
}

/** Reads the material in `directory`, or makes it. The identity service's user may read what it needs, nobody else anything. */
export function loadMaterial(directory: string, trustDomain: string, nowMs: number): MeshMaterial {
  const issuerDirectory = join(directory, 'issuer');
  const trustRootsDirectory = join(directory, 'trust-roots');
  const tokenDirectory = join(directory, 'tokens');
  const files = {
    anchor: join(trustRootsDirectory, 'ca-bundle.crt'),
    certificate: join(issuerDirectory, 'crt.pem'),
    key: join(issuerDirectory, 'key.pem'),
    tokenKey: join(directory, 'token-key.pem'),
    tokenPublicKey: join(tokenDirectory, 'public.pem'),
  };
  if (!Object.values(files).every((file) => existsSync(file)) || !isFresh(files.anchor, nowMs) || !isFresh(files.certificate, nowMs)) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true, mode: 0o711 });
    for (const one of [issuerDirectory, trustRootsDirectory, tokenDirectory]) {
      mkdirSync(one, { mode: 0o700 });
      chownSync(one, CONTROLLER_UID, CONTROLLER_UID);
    }
    makeMaterial(files, trustDomain, nowMs);
  }
  return {
    trustAnchorsPem: readFileSync(files.anchor, 'utf8'),
    issuerDirectory,
    trustRootsDirectory,
    tokenKeyPem: readFileSync(files.tokenKey, 'utf8'),
    tokenPublicKeyFile: files.tokenPublicKey,
  };
}

interface MaterialFiles {
  readonly anchor: string;
  readonly certificate: string;
  readonly key: string;
  readonly tokenKey: string;
  readonly tokenPublicKey: string;
}

function makeMaterial(files: MaterialFiles, trustDomain: string, nowMs: number): void {
  const times = { notBeforeMs: nowMs - BACKDATE_MS, notAfterMs: nowMs + LIFETIME_MS };
  const anchorKey = generateKey();
  const anchorDer = createCertificate(
    {
      subject: `root.${CONTROL_NAMESPACE}.${trustDomain}`,
      publicKey: anchorKey.publicKey,
      ...times,
      ca: {},
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { certificateDer: 'self', privateKey: anchorKey.privateKey },
  );
  const issuerKey = generateKey();
  const issuerName = `identity.${CONTROL_NAMESPACE}.${trustDomain}`;
  const issuerDer = createCertificate(
    {
      subject: issuerName,
      publicKey: issuerKey.publicKey,
      ...times,
      ca: { pathLength: 0 },
      keyUsage: ['keyCertSign', 'cRLSign'],
      dnsNames: [issuerName],
    },
    // The anchor's key is not kept: nothing but this issuer is ever signed with it.
    { certificateDer: anchorDer, privateKey: anchorKey.privateKey },
  );
  const tokenKey = generateKey();
  const owned = (path: string, text: string): void => {
    writeFileSync(path, text, { mode: 0o600 });
    chownSync(path, CONTROLLER_UID, CONTROLLER_UID);
  };
  writeFileSync(files.tokenKey, exportPrivateKeyPem(tokenKey.privateKey), { mode: 0o600 });
  owned(files.anchor, encodePem('CERTIFICATE', anchorDer));
  owned(files.certificate, encodePem('CERTIFICATE', issuerDer));
  owned(files.key, exportPrivateKeyPem(issuerKey.privateKey));
  owned(files.tokenPublicKey, createPublicKey(tokenKey.privateKey).export({ type: 'spki', format: 'pem' }));
}

function isFresh(path: string, nowMs: number): boolean {
  const [block] = splitPem(readFileSync(path, 'utf8'));
  if (block === undefined) return false;
  const read = readCertificate(block.der);
  return 'fields' in read && read.fields.notAfterMs - nowMs > RENEW_WITHIN_MS;
}
