// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates from the mesh's identity service (proxy-contract §1.7, §3.2): key and CSR made once per process, Certify with the token of the
 * moment, an answer or an error for each call. When to call is the identity manager's matter.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyObject } from 'node:crypto';
import { buildCsr, exportPrivateKeyDer, generateKey } from '@weft/pki/lean';
import { CertifyRequestSchema, CertifyResponseSchema } from '@weft/proto/identity';
import type { ProxyConfig } from '../config/types.ts';
import { ConfigError } from '../config/values.ts';
import type { GrpcCaller } from '../control/grpc-client.ts';
import type { Clock } from '../runtime.ts';

/** A call that has had no answer by then is given up and made anew. Longer than the channel waits for a connection. */
const CERTIFY_TIMEOUT_MS = 40_000;
const PATH = '/io.linkerd.proxy.identity.Identity/Certify';

/** What a source of certificates gives: nothing in it is verified yet. */
export interface IssuedCertificate {
  readonly leafDer: Buffer;
  /** Leaf's issuer first. */
  readonly intermediatesDer: readonly Buffer[];
  readonly privateKey: KeyObject;
  /** Undefined = the end of the leaf's own validity. */
  readonly validUntilMs: number | undefined;
}

export class CertifyClient {
  private readonly config: ProxyConfig;
  private readonly clock: Clock;
  private privateKey: KeyObject | undefined = undefined;
  private csr: Buffer | undefined = undefined;

  constructor(config: ProxyConfig, clock: Clock) {
    this.config = config;
    this.clock = clock;
  }

  /** Prepares key, CSR and token file, or throws ConfigError. */
  async bootstrap(): Promise<void> {
    const { identityDir, tokenFile, identityName } = this.config;
    const isDirectory = await stat(identityDir).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isDirectory) throw new ConfigError('LINKERD2_PROXY_IDENTITY_DIR', 'is no directory; mount one (it is never created here)');
    const token = await readFile(tokenFile).catch(() => undefined);
    if (token === undefined || token.length === 0) {
      throw new ConfigError(
        'LINKERD2_PROXY_IDENTITY_TOKEN_FILE',
        'cannot be read or is empty; mount a projected service account token there',
      );
    }
    const { privateKey } = generateKey();
    this.privateKey = privateKey;
    this.csr = buildCsr(identityName, privateKey);
    await writePrivate(join(identityDir, 'key.p8'), exportPrivateKeyDer(privateKey));
    await writePrivate(join(identityDir, 'csr.der'), this.csr);
  }

  /** One call; `onDone` is called once, with a certificate or with what went wrong. Never rejects. */
  async certify(channel: GrpcCaller, onDone: (result: IssuedCertificate | string) => void): Promise<void> {
    const { config, clock, privateKey, csr } = this;
    if (privateKey === undefined || csr === undefined) throw new Error('certify before bootstrap');
    let token: Buffer;
    try {
      token = await readFile(config.tokenFile);
    } catch (error) {
      onDone(`cannot read the token file: ${(error as Error).message}`);
      return;
    }
    const request = create(CertifyRequestSchema, { identity: config.identityName, token, certificateSigningRequest: csr });
    let isSettled = false;
    const settle = (result: IssuedCertificate | string): void => {
      if (isSettled) return;
      isSettled = true;
      cancelDeadline();
      onDone(result);
    };
    const call = channel.call(PATH, toBinary(CertifyRequestSchema, request), {
      onMessage: (message) => settle(readAnswer(message, privateKey)),
      onEnd: (status, message) =>
        settle(`identity service: ${message === '' ? 'no certificate in the answer' : message} (gRPC status ${status})`),
    });
    const cancelDeadline = clock.after(CERTIFY_TIMEOUT_MS, () => {
      call.cancel();
      settle('identity service: no answer in time');
    });
  }
}

function readAnswer(message: Uint8Array, privateKey: KeyObject): IssuedCertificate | string {
  let response;
  try {
    response = fromBinary(CertifyResponseSchema, message);
  } catch (error) {
    return `identity service sent an unreadable answer: ${(error as Error).message}`;
  }
  return {
    leafDer: Buffer.from(response.leafCertificate),
    intermediatesDer: response.intermediateCertificates.map((der) => Buffer.from(der)),
    privateKey,
    // Mandatory (§3.2): without it the certificate counts as one that has run out.
    validUntilMs: response.validUntil === undefined ? 0 : Number(response.validUntil.seconds) * 1000,
  };
}

/** Writes a file that only this user may read, whatever was there before: the mode of an old file would stay. */
async function writePrivate(path: string, bytes: Uint8Array): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
}
