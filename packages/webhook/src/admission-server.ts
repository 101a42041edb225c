// SPDX-License-Identifier: Apache-2.0
/*
 * The HTTPS server of a webhook (control-contract §4.1): TLS 1.3, one review a POST, answers as the reference gives them (bodies over the
 * limit 500, empty ones an empty 200, undecodable ones 400, a review that fails a refusal). Whoever reaches the port may send anything, so
 * connections, handshakes, header sections, bodies and the bytes held for all of them together are bounded, and every callback ends at
 * most its own request. A new certificate serves new handshakes; established connections go on.
 */
import { Buffer } from 'node:buffer';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Server as NetServer, type AddressInfo } from 'node:net';
import type { Logger } from '@weft/telemetry';
import { decodeReview, encodeAnswer } from './admission-review.ts';
import type { AdmissionAnswer, AdmissionRequest, CertificateSource, Review, ServerCertificate } from './types.ts';

/** Named limits of the server. */
export interface AdmissionLimits {
  /** Longest review. The reference's is the same: an object of 1.5 MB twice, as old and new, is far below. */
  readonly maxBodyBytes: number;
  /** Bytes of bodies held at one time, all requests together; a request that would pass it gets 503. */
  readonly maxBufferedBytes: number;
  /** Connections at one time; more are closed at once. */
  readonly maxConnections: number;
  /** From accept to the end of the TLS handshake. */
  readonly handshakeTimeoutMs: number;
  /** From the first byte of a request to the end of its header section. */
  readonly headersTimeoutMs: number;
  /** From the first byte of a request to the end of its body. Webhooks are given ten seconds in all. */
  readonly requestTimeoutMs: number;
  /** An idle connection is kept so long: longer than API servers keep theirs (90 s), so that it is they who close. */
  readonly keepAliveMs: number;
  /** Size of a header section. */
  readonly maxHeaderBytes: number;
  /**
   * On close, connections are accepted for so long still: that an endpoint ends reaches the routes of API servers later than a signal reaches
   * the process, and a refused connection is a pod that is not meshed, or not admitted.
   */
  readonly lameDuckMs: number;
  /** Then established connections may bring requests for so long; each answer since the beginning of the close asks them to close. */
  readonly drainMs: number;
}

export const ADMISSION_LIMITS: AdmissionLimits = {
  maxBodyBytes: 10 * 1024 * 1024,
  maxBufferedBytes: 64 * 1024 * 1024,
  maxConnections: 1024,
  handshakeTimeoutMs: 10_000,
  headersTimeoutMs: 5_000,
  requestTimeoutMs: 10_000,
  keepAliveMs: 120_000,
  maxHeaderBytes: 16 * 1024,
  lameDuckMs: 3_000,
  drainMs: 3_000,
};

export interface AdmissionServerOptions {
  /** `host` '' for all addresses; `port` 0 picks one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Handshakes fail until it has loaded. Stays the caller's to close. */
  readonly certificates: CertificateSource;
  readonly review: Review;
  readonly logger: Logger;
  readonly limits?: Partial<AdmissionLimits>;
  /** Serves this path only, others get 404 (control-contract §3.5). Default: every path. */
  readonly path?: string;
  /** Whether the answer repeats the request, as the reference's injector does. Default true. */
  readonly echoesRequest?: boolean;
}

/** A running webhook. */
export interface AdmissionServer {
  readonly port: number;
  /** Stops accepting after a while, lets requests under way end, then cuts what is left. */
  close(): Promise<void>;
}

/** Starts the server. Rejects when it cannot be bound. */
export async function startAdmissionServer(options: AdmissionServerOptions): Promise<AdmissionServer> {
  const { certificates, logger } = options;
  const limits = { ...ADMISSION_LIMITS, ...options.limits };
  const held = { bytes: 0, isDraining: false };
  const server = createServer(
    {
      minVersion: 'TLSv1.3',
      handshakeTimeout: limits.handshakeTimeoutMs,
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMs),
    },
    (request, response) => {
      response.on('error', () => undefined);
      answer(options, limits, held, request, response).catch((error: unknown) => {
        logger.error('Review failed', { error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
        response.destroy();
      });
    },
  );
  server.maxConnections = limits.maxConnections;
  // A peer that does not speak TLS or HTTP ends its own connection only; the socket is destroyed by the server.
  server.on('tlsClientError', (error) => logger.debug('Handshake failed', { error: error.message }));
  const use = ({ certificatePem, privateKeyPem }: ServerCertificate): void =>
    server.setSecureContext({ cert: certificatePem, key: privateKeyPem, minVersion: 'TLSv1.3' });
  if (certificates.current !== undefined) use(certificates.current);
  const unsubscribe = certificates.onChange(use);
  try {
    await listen(server, options.listen);
  } catch (error) {
    unsubscribe();
    throw error;
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      unsubscribe();
      held.isDraining = true;
      await new Promise((resolve) => setTimeout(resolve, limits.lameDuckMs));
      await drain(server, limits.drainMs);
    },
  };
}

interface Held {
  bytes: number;
  isDraining: boolean;
}

async function answer(
  { review, logger, path, echoesRequest = true }: AdmissionServerOptions,
  limits: AdmissionLimits,
  held: Held,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const reply = (status: number, body: string, contentType = 'text/plain; charset=utf-8'): void => {
    if (held.isDraining) response.setHeader('connection', 'close');
    response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
    response.end(body);
  };
  if (path !== undefined && (request.url ?? '/').split('?', 1)[0] !== path) return reply(404, 'not found\n');
  const claim = { bytes: 0 };
  try {
    const body = await readBody(request, limits, held, claim);
    if (body === 'aborted') return undefined;
    if (typeof body === 'number') {
      // What is left of the body is not read, so the connection cannot go on.
      response.setHeader('connection', 'close');
      return reply(body, body === 503 ? 'too many bytes are under review\n' : `the review is larger than ${limits.maxBodyBytes} bytes\n`);
    }
    if (body.length === 0) return reply(200, '');
    const decoded = decodeReview(body.toString('utf8'));
    if ('error' in decoded) {
      logger.warn('Review not understood', { error: decoded.error });
      return reply(400, `${decoded.error}\n`);
    }
    const outcome = await judge(review, decoded.request, logger);
    return reply(200, encodeAnswer(decoded, outcome, echoesRequest), 'application/json');
  } finally {
    held.bytes -= claim.bytes;
  }
}

async function judge(review: Review, request: AdmissionRequest, logger: Logger): Promise<AdmissionAnswer> {
  try {
    return await review(request);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    logger.error('Review refused after an error', { error: message, kind: request.kind.kind, namespace: request.namespace ?? '' });
    return { allowed: false, message };
  }
}

/** The body; or the status that refuses it. */
async function readBody(
  request: IncomingMessage,
  limits: AdmissionLimits,
  held: Held,
  claim: { bytes: number },
): Promise<Buffer | 500 | 503 | 'aborted'> {
  if (Number(request.headers['content-length'] ?? 0) > limits.maxBodyBytes) return 500;
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      claim.bytes += chunk.length;
      held.bytes += chunk.length;
      if (claim.bytes > limits.maxBodyBytes) return 500;
      if (held.bytes > limits.maxBufferedBytes) return 503;
      chunks.push(chunk);
    }
  } catch {
    return 'aborted';
  }
  return Buffer.concat(chunks, claim.bytes);
}

async function listen(server: Server, { host, port }: AdmissionServerOptions['listen']): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ port, ...(host === '' ? {} : { host }) }, resolve);
  await promise;
  server.off('error', reject);
}

async function drain(server: Server, drainMs: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  // Connections that are idle now may have a request on its way: they are cut only after the drain time, so not by `https.Server.close`,
  // which comes last, for its timer.
  const cut = setTimeout(() => server.closeAllConnections(), drainMs);
  NetServer.prototype.close.call(server, () => resolve());
  await promise;
  clearTimeout(cut);
  server.close();
}
