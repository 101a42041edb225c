// SPDX-License-Identifier: Apache-2.0
/*
 * The requests of one connection in ingress mode (proxy-contract §2.4): `l5d-dst-override` names the service that a request is for, whatever address
 * the ingress controller has chosen; without it the original destination counts. Each name is a target of its own, looked up while its first
 * request waits.
 */
import { Buffer } from 'node:buffer';
import { type FieldList, fieldValue } from '@weft/bytes';
import { parseDnsName } from '@weft/detect';
import type { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_2, type HttpHandler, type RequestHead, type RequestSink, type ServerStream } from '../http/types.ts';
import type { Clock } from '../runtime.ts';
import { DeferredRequest } from './deferred-request.ts';
import type { OutboundStack } from './outbound-stack.ts';

const DST_OVERRIDE = 'l5d-dst-override';
/** Port of an override that has none. */
const DEFAULT_PORT = 80;
/** Names that one connection keeps alive; with more it lets go of all and begins anew. */
const MAX_NAMES = 64;

/** The use of a stack; `release` once. */
export interface StackLease {
  readonly stack: OutboundStack;
  release(): void;
}

export interface IngressHandlerDeps {
  readonly clock: Clock;
  /** How long a request waits for its target to be looked up. */
  readonly lookupTimeoutMs: number;
  acquire(name: string, port: number): StackLease;
  onPeerErrors(kind: string, count: number): void;
}

export class IngressHandler implements HttpHandler {
  private readonly origin: OutboundStack;
  private readonly deps: IngressHandlerDeps;
  private readonly onClose: () => void;
  private readonly named = new Map<string, StackLease>();
  /** The last head and what became of it: HTTP/1 heads are handed out again. */
  private lastHead: RequestHead | undefined = undefined;
  private lastRouted: ProxyRequestHead | undefined = undefined;

  constructor(origin: OutboundStack, deps: IngressHandlerDeps, onClose: () => void) {
    this.origin = origin;
    this.deps = deps;
    this.onClose = onClose;
  }

  onRequest(received: RequestHead, server: ServerStream, end: boolean): RequestSink {
    const head = received as ProxyRequestHead;
    const override = fieldValue(head.fields, DST_OVERRIDE);
    if (override === undefined) return this.through(this.origin, head, server, end);
    const name = parseOverride(override);
    if (name === undefined) return this.origin.refuse(head, server, end, { kind: 'bad-gateway', message: `invalid ${DST_OVERRIDE}` });
    if (head !== this.lastHead) {
      this.lastHead = head;
      this.lastRouted = head.with({ fields: without(head.fields, DST_OVERRIDE) });
    }
    return this.through(this.stackOf(name.host, name.port), this.lastRouted as ProxyRequestHead, server, end);
  }

  onPeerErrors(kind: string, count: number): void {
    this.deps.onPeerErrors(kind, count);
  }

  onConnectionClose(): void {
    this.letGo();
    this.onClose();
  }

  private through(stack: OutboundStack, head: ProxyRequestHead, server: ServerStream, end: boolean): RequestSink {
    const isH2 = head.version === HTTP_2;
    if (stack.isReady) return stack.router(isH2).route(head, server, end);
    const deferred = new DeferredRequest(end);
    const cancel = this.deps.clock.after(this.deps.lookupTimeoutMs, () => {
      deferred.open((isEnd) => stack.refuse(head, server, isEnd, { kind: 'failfast', message: 'service in fail-fast' }));
    });
    stack.whenReady(
      () => {
        cancel();
        deferred.open((isEnd) => stack.router(isH2).route(head, server, isEnd));
      },
      (message) => {
        cancel();
        deferred.open((isEnd) => stack.refuse(head, server, isEnd, { kind: 'bad-gateway', message }));
      },
    );
    return deferred;
  }

  private stackOf(host: string, port: number): OutboundStack {
    const key = `${host}:${port}`;
    let lease = this.named.get(key);
    if (lease === undefined || lease.stack.hasFailed) {
      lease?.release();
      if (this.named.size >= MAX_NAMES) this.letGo();
      lease = this.deps.acquire(host, port);
      this.named.set(key, lease);
    }
    return lease.stack;
  }

  private letGo(): void {
    for (const lease of this.named.values()) lease.release();
    this.named.clear();
  }
}

/** `name` or `name:port`; undefined where it is neither. */
function parseOverride(text: string): { host: string; port: number } | undefined {
  const match = /^([^:]+)(?::(\d{1,5}))?$/.exec(text.trim());
  const bytes = Buffer.from(match?.[1] ?? '', 'latin1');
  const host = parseDnsName(bytes, 0, bytes.length);
  const port = match?.[2] === undefined ? DEFAULT_PORT : Number(match[2]);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function without(fields: Readonly<FieldList>, name: string): FieldList {
  const kept: FieldList = [];
  for (let i = 0; i < fields.length; i += 2) if (fields[i] !== name) kept.push(fields[i] as string, fields[i + 1] as string);
  return kept;
}
