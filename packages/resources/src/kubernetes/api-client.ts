// SPDX-License-Identifier: Apache-2.0
/*
 * A thin HTTP client for an API server: JSON requests with a time limit, lists item by item, and watches as streams of lines. TCP (with
 * TLS) or a unix socket. Retried here is only what the server asks to be retried (429, Retry-After) or cannot have seen; what any other
 * failure means is the caller's to say. Source: Kubernetes API concepts; RFC 9110 §10.2.3.
 */
import { Buffer } from 'node:buffer';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';

import { isResourceError, ResourceError } from '../errors.ts';
import { LineSplitter } from './line-splitter.ts';
import { ListSplitter } from './list-splitter.ts';
import { errorOfStatus } from './status-answer.ts';

/** Trust anchors and, where wanted, a client certificate, all PEM. */
export interface TlsMaterial {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly servername?: string;
}

/** How to reach an API server. */
export interface ApiClientOptions {
  /** `http://…`, `https://…`, or `unix:/path/to/socket`. */
  readonly baseUrl: string;
  /** For https. A function is asked at first, and again after a server could not be verified: its CA may have been replaced. */
  readonly tls?: TlsMaterial | (() => Promise<TlsMaterial>);
  /** Asked for each request; `wasRefused`: the server refused the last one, so one that is remembered will not do. */
  readonly bearerToken?: (wasRefused: boolean) => Promise<string | undefined>;
  readonly userAgent: string;
  /** From sending a request to the end of its answer; of a watch, to its first byte. Milliseconds. */
  readonly requestTimeoutMs: number;
  /** A watch that says nothing for so long is given up. Milliseconds. */
  readonly watchSilenceMs: number;
  /** Longest answer, longest item of a list, and longest line of a watch. Bytes. */
  readonly maxAnswerBytes: number;
  /** Connections for requests, besides one for each open watch. */
  readonly maxConnections: number;
}

/** One call. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly body?: unknown;
  readonly contentType?: string;
  /** A POST that may be made twice. */
  readonly isRepeatable?: boolean;
  /** Default `application/json`. */
  readonly accept?: string;
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
/** Tries of one call while the server asks to wait. */
export const MAX_THROTTLED_TRIES = 5;
/** Longest wait between two of them, whatever the server asks. */
export const MAX_RETRY_AFTER_MS = 10_000;

/** Methods whose repetition changes nothing more. */
const TWICE_IS_ONCE = new Set(['GET', 'PUT', 'PATCH']);
/** OpenSSL's and Node's words for a server that is not the one trusted. */
const NOT_TRUSTED = /CERT|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ERR_TLS/;

class StaleConnectionError extends ResourceError {}

type ReadAnswer = (request: ClientRequest, response: IncomingMessage) => Promise<unknown>;

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
  private tls: TlsMaterial | undefined;
  private agent: HttpAgent | undefined;
  private readonly open = new Set<ClientRequest>();
  private wasTokenRefused = false;
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
  }

  /** The parsed answer. Rejects with ResourceError. */
  call(call: ApiCall): Promise<unknown> {
    return this.send(call, (request, response) => this.collect(request, response));
  }

  /**
   * Reads a list: each item's parsed JSON goes to `onItem`, what is around them is the result. Rejects with ResourceError, possibly after
   * some items.
   */
  list(call: ApiCall, onItem: (item: unknown) => void): Promise<unknown> {
    return this.send(call, (request, response) => this.collectItems(request, response, onItem));
  }

  private async send(call: ApiCall, read: ReadAnswer): Promise<unknown> {
    let mayRefresh = this.options.bearerToken !== undefined;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.sendOnce(call, read);
      } catch (error) {
        if (!isResourceError(error)) throw error;
        // A token that has just been rotated away is replaced by reading it again.
        if (error.status === 401 && mayRefresh) mayRefresh = false;
        else if (error.retryAfterMs !== undefined && tries < MAX_THROTTLED_TRIES && !this.isClosed) {
          await this.wait(Math.min(error.retryAfterMs, MAX_RETRY_AFTER_MS));
        } else throw error;
      }
    }
  }

  private wait(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve, delayMs);
    return promise;
  }

  private async sendOnce(call: ApiCall, read: ReadAnswer): Promise<unknown> {
    try {
      return await this.attempt(call, TWICE_IS_ONCE.has(call.method) || call.isRepeatable === true, read);
    } catch (error) {
      // A kept connection that the server had just closed: nobody saw the request, and it may be made twice.
      if (!(error instanceof StaleConnectionError)) throw error;
      return await this.attempt(call, false, read);
    }
  }

  private async attempt(call: ApiCall, mayReuse: boolean, read: ReadAnswer): Promise<unknown> {
    const content = call.body === undefined ? undefined : Buffer.from(JSON.stringify(call.body));
    const request = await this.start(call, mayReuse, content);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timer = setTimeout(
      () => request.destroy(unavailable(`no answer within ${this.options.requestTimeoutMs} ms`)),
      this.options.requestTimeoutMs,
    );
    let isAnswered = false;
    request.on('error', (error) => {
      if (isResourceError(error)) reject(error);
      else if (request.reusedSocket && !isAnswered)
        reject(new StaleConnectionError('ERR_UNAVAILABLE', 'a kept connection was cut', { cause: error }));
      else reject(unavailable('cannot reach the API server', error));
    });
    request.on('response', (response) => {
      isAnswered = true;
      read(request, response).then(resolve, reject);
    });
    try {
      request.end(content);
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
    this.agent?.destroy();
  }

  private async start(call: ApiCall, mayReuse: boolean, content?: Buffer): Promise<ClientRequest> {
    const { method, path, query, contentType, accept } = call;
    const token = await this.token();
    const tls = await this.tlsMaterial();
    if (this.isClosed) throw unavailable('the source is closed');
    const search = query === undefined || query.size === 0 ? '' : `?${query.toString()}`;
    const headers: Record<string, string> = { accept: accept ?? 'application/json', 'user-agent': this.options.userAgent };
    if (token !== undefined) headers['authorization'] = `Bearer ${token}`;
    if (content !== undefined) {
      headers['content-type'] = contentType ?? 'application/json';
      // Node says no length by itself for a DELETE.
      headers['content-length'] = String(content.length);
    }
    const send = this.isTls ? httpsRequest : httpRequest;
    // A request that must not be made twice takes no kept connection, which may be closed under it; nor does a watch, which holds it.
    const connection = mayReuse ? { agent: this.connections(tls) } : { agent: false, ...tls };
    const request = send({ ...this.base, ...connection, method, path: `${this.prefix}${path}${search}`, headers });
    if (!mayReuse) request.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_PROBE_MS));
    // Always heard: a request that is given up before anyone waits for it must not end the process.
    request.on('error', (error) => this.noteFailure(error));
    this.open.add(request);
    request.on('close', () => this.open.delete(request));
    return request;
  }

  private async token(): Promise<string | undefined> {
    const wasRefused = this.wasTokenRefused;
    this.wasTokenRefused = false;
    try {
      return await this.options.bearerToken?.(wasRefused);
    } catch (error) {
      throw unavailable('no token for the API server', error);
    }
  }

  private async tlsMaterial(): Promise<TlsMaterial | undefined> {
    const { tls } = this.options;
    if (typeof tls !== 'function') return tls;
    try {
      this.tls ??= await tls();
    } catch (error) {
      throw unavailable('no trust anchors for the API server', error);
    }
    return this.tls;
  }

  private connections(tls: TlsMaterial | undefined): HttpAgent {
    const pool = { keepAlive: true, keepAliveMsecs: KEEP_ALIVE_PROBE_MS, maxSockets: this.options.maxConnections };
    this.agent ??= this.isTls ? new HttpsAgent({ ...pool, ...tls }) : new HttpAgent(pool);
    return this.agent;
  }

  /** A server that is not trusted (any more) may be one whose CA was replaced: the next request reads the trust anchors again. */
  private noteFailure(error: Error): void {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (typeof this.options.tls !== 'function' || !NOT_TRUSTED.test(code)) return;
    this.tls = undefined;
    this.agent?.destroy();
    this.agent = undefined;
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
    if (status === 401) this.wasTokenRefused = true;
    if (status < 200 || status > 299) throw errorOfStatus(status, body, response.headers['retry-after']);
    if (body === undefined) throw unavailable('the answer is not JSON');
    return body;
  }

  private async collectItems(request: ClientRequest, response: IncomingMessage, onItem: (item: unknown) => void): Promise<unknown> {
    if (response.statusCode !== 200) return this.collect(request, response);
    const { maxAnswerBytes } = this.options;
    const splitter = new ListSplitter(maxAnswerBytes, (text) => {
      const item = parseJson(text);
      if (item === undefined) throw unavailable('an item of a list is not JSON');
      onItem(item);
    });
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        const fault = splitter.push(chunk);
        if (fault === 'too-long') throw unavailable(`an item of a list is longer than ${maxAnswerBytes} bytes`);
        if (fault === 'malformed') throw unavailable('an item of a list is no object');
      }
    } catch (error) {
      request.destroy();
      throw isResourceError(error) ? error : unavailable('the answer was cut', error);
    }
    const envelope = parseJson(splitter.envelope);
    if (envelope === undefined) throw unavailable('the answer is not JSON');
    return envelope;
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
