// SPDX-License-Identifier: Apache-2.0
/*
 * Identity.Certify (control-contract §2.3, features ID-03): the checks in the reference's order, with its status codes and, where they
 * are not a Go structure printed, its messages. One addition: the request must be signed with its own key (DIFFERENCES.md).
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { GRPC_CODES, GrpcStatusError, type GrpcCode } from '@weft/grpc-server';
import { parseCsr, type CertificateRequest, type CsrResult, type TokenReview, type TokenReviewer } from '@weft/pki';
import { CertifyResponseSchema, type CertifyRequest, type CertifyResponse } from '@weft/proto/identity';
import type { Logger } from '@weft/telemetry';
import type { EventRecorder, EventSubject } from './events.ts';
import type { Issuer } from './issuer.ts';
import { reviewIdentityToken } from './token-review.ts';
import type { TrustAnchors } from './trust-anchors.ts';
import { identityOf, parseUsername, type Account, type IdentityDomain } from './workload-identity.ts';

/** What one Certify call works with. */
export interface CertifyContext {
  readonly domain: IdentityDomain;
  readonly issuer: Issuer | undefined;
  readonly anchors: TrustAnchors;
  readonly reviewer: TokenReviewer;
  readonly lifetimeMs: number;
  readonly clockSkewMs: number;
  readonly now: () => number;
  readonly events: EventRecorder;
  /** Where events of the issuer go. */
  readonly deployment: EventSubject;
  readonly logger: Logger;
}

/** Answers one request; throws GrpcStatusError. */
export async function certify(request: CertifyRequest, context: CertifyContext): Promise<CertifyResponse> {
  const { issuer, events, logger } = context;
  if (issuer === undefined) throw status('UNAVAILABLE', 'issuer not ready');
  if (request.identity === '') throw status('INVALID_ARGUMENT', 'missing identity');
  if (request.token.length === 0) throw status('INVALID_ARGUMENT', 'missing token');
  if (request.certificateSigningRequest.length === 0) throw status('INVALID_ARGUMENT', 'missing certificate signing request');
  const parsed = parseCsr(request.certificateSigningRequest);
  if (!('request' in parsed)) throw csrStatus(parsed);
  const csr = parsed.request;

  const flaw = issuer.verify(context.anchors.anchorsDer, context.now());
  if (flaw !== undefined) {
    const message = `the issuer does not verify against the trust anchors: ${flaw}`;
    logger.error('Issuer validation failed', { error: flaw });
    events.record(context.deployment, 'Warning', 'IssuerValidationFailed', message);
    throw status('UNKNOWN', message);
  }
  checkNames(csr, request.identity);
  const account = await accountOf(request.token, context);
  const found = identityOf(account, context.domain);
  if (found !== request.identity) {
    throw status('FAILED_PRECONDITION', `requested identity did not match provided token: requested=${request.identity}; found=${found}`);
  }
  if (csr.publicKey.asymmetricKeyType !== 'ec') {
    throw status('INTERNAL', `CSR must contain an ECDSA public key: ${csr.publicKey.asymmetricKeyType ?? 'unknown kind'}`);
  }
  return signed(csr, issuer, account, request.identity, context);
}

function signed(csr: CertificateRequest, issuer: Issuer, account: Account, identity: string, context: CertifyContext): CertifyResponse {
  const { lifetimeMs, clockSkewMs } = context;
  let issued;
  try {
    issued = issuer.sign(csr, { nowMs: context.now(), lifetimeMs, clockSkewMs });
  } catch (error) {
    context.logger.error('Signing failed', { error: (error as Error).message });
    throw status('INTERNAL', 'the issuer cannot sign', error);
  }
  const until = new Date(issued.notAfterMs).toISOString();
  const hash = createHash('sha256').update(issued.leafDer).digest('hex');
  const serviceAccount: EventSubject = { apiVersion: 'v1', kind: 'ServiceAccount', namespace: account.namespace, name: account.name };
  context.events.record(serviceAccount, 'Normal', 'IssuedLeafCertificate', `issued certificate for ${identity} until ${until}: ${hash}`);
  context.logger.info('Certificate issued', { identity, until, hash });
  return create(CertifyResponseSchema, {
    leafCertificate: issued.leafDer,
    intermediateCertificates: [...issued.intermediatesDer],
    validUntil: create(TimestampSchema, { seconds: BigInt(issued.notAfterMs / 1000) }),
  });
}

function checkNames({ names, commonName }: CertificateRequest, identity: string): void {
  const [name] = names.dns;
  if (name === undefined || names.dns.length !== 1) throw status('FAILED_PRECONDITION', 'CSR must have exactly one DNSName');
  if (name !== identity) {
    throw status('FAILED_PRECONDITION', `CSR name does not match requested identity: csr=${name}; req=${identity}`);
  }
  if (commonName !== '' && commonName !== identity) throw status('FAILED_PRECONDITION', `invalid CommonName: ${commonName}`);
  if (names.emails.length > 0) throw status('FAILED_PRECONDITION', 'cannot validate email addresses');
  if (names.ips.length > 0) throw status('FAILED_PRECONDITION', 'cannot validate IP addresses');
  if (names.uris.length > 0) throw status('FAILED_PRECONDITION', 'cannot validate URIs');
}

async function accountOf(token: Uint8Array, context: CertifyContext): Promise<Account> {
  let review: TokenReview;
  try {
    review = await reviewIdentityToken(context.reviewer, Buffer.from(token).toString('utf8'));
  } catch (error) {
    context.logger.error('Token review failed', { error: (error as Error).message });
    throw status('INTERNAL', 'the token could not be reviewed', error);
  }
  if (review.error !== undefined) throw status('INVALID_ARGUMENT', review.error);
  if (!review.authenticated) throw status('FAILED_PRECONDITION', 'authentication token could not be authenticated');
  const account = parseUsername(review.username);
  if (account === undefined) throw status('INVALID_ARGUMENT', `username is not that of an account: ${review.username}`);
  return account;
}

function csrStatus(result: Exclude<CsrResult, { request: unknown }>): GrpcStatusError {
  if (result.flaw === 'signature') return status('INVALID_ARGUMENT', `invalid certificate signing request: ${result.error}`);
  return status('INVALID_ARGUMENT', `asn1: ${result.error.startsWith('tags') ? 'structure' : 'syntax'} error: ${result.error}`);
}

function status(code: keyof typeof GRPC_CODES, details: string, cause?: unknown): GrpcStatusError {
  const value: GrpcCode = GRPC_CODES[code];
  return new GrpcStatusError(value, details, cause === undefined ? undefined : { cause });
}
