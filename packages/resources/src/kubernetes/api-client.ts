// SPDX-License-Identifier: Apache-2.0
/*
 * A thin HTTP client for an API server: JSON requests with a time limit, and watches as streams of lines. TCP (with TLS) or a unix
 * socket. No retries here: what a failure means is the caller's to say.
 */
import { Buffer } from 'node:buffer';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

import { isResourceError, ResourceError } from '../errors.ts';
import { LineSplitter } from './line-splitter.ts';
import { errorOfStatus } from './status-answer.ts';

/** How to reach an API server. */
export interface ApiClientOptions {
  /** `http://…`, `https://…`, or `unix:/path/to/socket`. */
  readonly baseUrl: string;
  /** For https: trust anchors and, where wanted, a client certificate, all PEM. */
  readonly tls?: {
    readonly ca?: string | Buffer;
    readonly cert?: string | Buffer;
    readonly key?: string | Buffer;
    readonly servername?: string;
  };
  /** Asked for each request, so that a rotated token is taken up. */
  readonly bearerToken?: () => Promise<string | undefined>;
  readonly userAgent: string;
  /** From sending a request to the end of its answer; of a watch, to its first byte. Milliseconds. */
  readonly requestTimeoutMs: number;
  /** A watch that says nothing for so long is given up. Milliseconds. */
  readonly watchSilenceMs: number;
  /** Longest answer, and longest line of a watch. Bytes. */
  readonly maxAnswerBytes: number;
}

/** One call. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  readonly contentType?: string;
}

/** A watch that is open. */
export interface LineStream {
  /** Resolves when the answer has ended in order; rejects with ResourceError otherwise, not after `abort`. */
  readonly ended: Promise<void>;
  /** Ends the watch; no line comes after it, and `ended` resolves. */
  abort(): void;
}

/** Between probes of an idle connection, so that a peer that is gone is found. */
const KEEP_ALIVE_PROBE_MS = 30_000;

/** Methods whose repetition changes nothing more. */
const TWICE_IS_ONCE = new Set(['GET', 'PUT', 'PATCH']);

class StaleConnectionError extends ResourceError {}

function unavailable(what: string, cause?: unknown): ResourceError {
  const text = cause instanceof Error ? `${what}: ${cause.message}` : what;
  return new ResourceError('ERR_UNAVAILABLE', text, cause === undefined ? {} : { cause });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Requests to one API server over kept connections. */
export class ApiClient {
  private readonly options: ApiClientOptions;
  private readonly base: RequestOptions;
  private readonly isTls: boolean;
  private readonly prefix: string;
  private readonly agent: HttpAgent;
  private readonly open = new Set<ClientRequest>();
  private isClosed = false;

  /** Throws TypeError for a `baseUrl` that is none. */
  constructor(options: ApiClientOptions) {
    this.options = options;
    if (options.baseUrl.startsWith('unix:')) {
      this.base = { socketPath: options.baseUrl.slice('unix:'.length).replace(/^\/\/+/, '/'), host: 'localhost' };
      this.isTls = false;
      this.prefix = '';
    } else {
      const url = new URL(options.baseUrl);
      this.isTls = url.protocol === 'https:';
      this.base = { host: url.hostname.replace(/^\[|\]$/g, ''), port: url.port === '' ? (this.isTls ? 443 : 80) : Number(url.port) };
      this.prefix = url.pathname.replace(/\/$/, '');
    }
    const pool = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_PROBE_MS };
    this.agent = this.isTls ? new HttpsAgent({ ...pool, ...options.tls }) : new HttpAgent(pool);
  }

  /** The parsed answer. Rejects with ResourceError. */
  async call(call: ApiCall): Promise<unknown> {
    try {
      return await this.attempt(call, TWICE_IS_ONCE.has(call.method));
    } catch (error) {
      // A kept connection that the server had just closed: nobody saw the request, and it may be made twice.
      if (!(error instanceof StaleConnectionError)) throw error;
      return await this.attempt(call, false);
    }
  }

  private async attempt(call: ApiCall, mayReuse: boolean): Promise<unknown> {
    const request = await this.start(call, mayReuse);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(
      () => request.destroy(unavailable(`no answer within ${this.options.requestTimeoutMs} ms`)),
      this.options.requestTimeoutMs,
    );
    request.on('error', (error) => {
      if (isResourceError(error)) reject(error);
      else if (request.reusedSocket) reject(new StaleConnectionError('ERR_UNAVAILABLE', 'a kept connection was cut', { cause: error }));
      else reject(unavailable('cannot reach the API server', error));
    });
    request.on('response', (response) => void this.collect(request, response).then(resolve, reject));
    try {
      request.end(call.body === undefined ? undefined : JSON.stringify(call.body));
      return await promise;
    } finally {
      clearTimeout(timer);
      this.open.delete(request);
    }
  }

  /** Streams the lines of an answer. */
  stream(call: ApiCall, onLine: (line: string) => void): LineStream {
    let isAborted = false;
    let request: ClientRequest | undefined;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deliver = (line: string): void => {
      if (!isAborted && line !== '') onLine(line);
    };
    const run = async (): Promise<void> => {
      request = await this.start(call, false);
      if (isAborted) request.destroy();
      else await this.follow(request, deliver);
    };
    run().then(resolve, (error: unknown) => (isAborted ? resolve() : reject(error)));
    return {
      ended: promise,
      abort: () => {
        isAborted = true;
        request?.destroy();
        resolve();
      },
    };
  }

  /** Ends all requests; later ones are refused. */
  close(): void {
    this.isClosed = true;
    for (const request of this.open) request.destroy();
    this.agent.destroy();
  }

  private async start({ method, path, query, body, contentType }: ApiCall, mayReuse: boolean): Promise<ClientRequest> {
    let token: string | undefined;
    try {
      token = await this.options.bearerToken?.();
    } catch (error) {
      throw unavailable('no token for the API server', error);
    }
    if (this.isClosed) throw unavailable('the source is closed');
    const search = query === undefined || query.size === 0 ? '' : `?${query.toString()}`;
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': this.options.userAgent };
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = contentType ?? 'application/json';
    const send = this.isTls ? httpsRequest : httpRequest;
    // A request that must not be made twice takes no kept connection, which may be closed under it; nor does a watch, which holds it.
    const connection = mayReuse ? { agent: this.agent } : { agent: false, ...this.options.tls };
    const request = send({ ...this.base, ...connection, method, path: `${this.prefix}${path}${search}`, headers });
    this.open.add(request);
    request.on('close', () => this.open.delete(request));
    return request;
  }

  private async collect(request: ClientRequest, response: IncomingMessage): Promise<unknown> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        if (bytes > this.options.maxAnswerBytes) throw unavailable(`an answer is longer than ${this.options.maxAnswerBytes} bytes`);
        chunks.push(chunk);
      }
    } catch (error) {
      request.destroy();
      throw isResourceError(error) ? error : unavailable('the answer was cut', error);
    }
    const body = parseJson(Buffer.concat(chunks).toString('utf8'));
    const status = response.statusCode ?? 0;
    if (status < 200 || status > 299) throw errorOfStatus(status, body);
    if (body === undefined) throw unavailable('the answer is not JSON');
    return body;
  }

  private follow(request: ClientRequest, deliver: (line: string) => void): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { requestTimeoutMs, watchSilenceMs, maxAnswerBytes } = this.options;
    let timer = setTimeout(() => request.destroy(unavailable(`no answer within ${requestTimeoutMs} ms`)), requestTimeoutMs);
    const heard = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => request.destroy(unavailable(`a watch was silent for ${watchSilenceMs} ms`)), watchSilenceMs);
      timer.unref();
    };
    request.on('error', (error) => reject(isResourceError(error) ? error : unavailable('the watch was cut', error)));
    request.on('close', () => {
      clearTimeout(timer);
      reject(unavailable('the watch was cut'));
    });
    request.on('response', (response) => {
      heard();
      if (response.statusCode !== 200) {
        this.collect(request, response).then(() => reject(unavailable('not a watch')), reject);
        return;
      }
      const splitter = new LineSplitter(maxAnswerBytes);
      response.on('data', (chunk: Buffer) => {
        heard();
        const lines = splitter.push(chunk);
        if (lines === undefined) request.destroy(unavailable(`an event is longer than ${maxAnswerBytes} bytes`));
        else for (const line of lines) deliver(line);
      });
      response.on('end', resolve);
      response.on('error', (error) => reject(unavailable('the watch was cut', error)));
    });
    request.end();
    return promise;
  }
}
