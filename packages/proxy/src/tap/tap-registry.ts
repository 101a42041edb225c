// SPDX-License-Identifier: Apache-2.0
/*
 * The taps that look at this proxy now (proxy-contract §8). A tap shows as many requests as it was given, then no more are compared with it; it
 * ends when those that it shows have ended. Events that its reader does not take in time are dropped and counted: a tap holds up nothing.
 *
 *   open ──limit requests matched──► full ──last of them ended──► done
 */
import { type IpWords, parseIp } from '@weft/authz';
import { type FieldList, fieldValue } from '@weft/bytes';
import type { SocketAddress } from '@weft/net';
import type { Counter } from '@weft/telemetry';
import type { Outcome } from '../http/exchange.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ResponseHead } from '../http/types.ts';
import { type EndpointFacts, type RequestFacts, endpointTls } from '../observe/facts.ts';
import type { TapCodec, TapRequest } from './tap-codec.ts';
import type { NumericAddress, StreamEnd, StreamFrame } from './tap-events.ts';
import type { TapPredicate } from './tap-match.ts';

/** Taps at one time; one more is refused. */
export const MAX_TAPS = 16;

/** Where the events of a tap go. */
export interface TapOutput {
  /** Whether an event would be taken now. */
  readonly hasRoom: boolean;
  event(message: Uint8Array): void;
  /** All requests that the tap was to show have been shown. */
  done(): void;
}

export interface TapRegistryDeps {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly codec: TapCodec;
  readonly dropped: Counter;
  readonly events: Counter;
}

export class TapRegistry {
  /** Whether any tap still takes requests. */
  isActive = false;
  /** Told when `isActive` changes. */
  onChange: (isActive: boolean) => void = () => {};
  private readonly deps: TapRegistryDeps;
  private readonly taps = new Set<Tap>();
  private open: readonly Tap[] = [];

  constructor(deps: TapRegistryDeps) {
    this.deps = deps;
  }

  get size(): number {
    return this.taps.size;
  }

  /** Begins a tap; undefined where there are too many. The caller closes it when its reader goes. */
  add(request: TapRequest, output: TapOutput): { close(): void } | undefined {
    if (this.taps.size >= MAX_TAPS) return undefined;
    const tap = new Tap(request, output, this.deps, () => this.settle());
    this.taps.add(tap);
    this.settle();
    return {
      close: () => {
        tap.close();
        this.settle();
      },
    };
  }

  /** The streams of the taps that this request matches; undefined for none. */
  begin(facts: RequestFacts, head: ProxyRequestHead, endpoint: EndpointFacts): TappedStream[] | undefined {
    if (!this.isActive) return undefined;
    const destinationLabels = { ...endpoint.address.labels, ...facts.policyLabels(), ...endpointTls(endpoint) };
    const subject = { head, source: facts.client, destination: endpoint.address, destinationLabels, routeLabels: NO_LABELS };
    let streams: TappedStream[] | undefined;
    for (const tap of this.open) {
      if (!tap.test(subject)) continue;
      const stream = tap.begin(facts, head, subject);
      if (stream !== undefined) (streams ??= []).push(stream);
    }
    return streams;
  }

  private settle(): void {
    for (const tap of this.taps) if (tap.isOver) this.taps.delete(tap);
    this.open = [...this.taps].filter((tap) => tap.isTaking);
    const isActive = this.open.length > 0;
    if (isActive === this.isActive) return;
    this.isActive = isActive;
    this.onChange(isActive);
  }
}

const NO_LABELS: Readonly<Record<string, string>> = {};

class Tap {
  readonly test: TapPredicate;
  readonly hasFields: boolean;
  private readonly output: TapOutput;
  private readonly deps: TapRegistryDeps;
  private readonly base: number;
  private readonly onChange: () => void;
  private left: number;
  private running = 0;
  private nextStream = 0n;
  private isClosed = false;

  constructor({ test, limit, hasFields }: TapRequest, output: TapOutput, deps: TapRegistryDeps, onChange: () => void) {
    this.test = test;
    this.left = limit;
    this.hasFields = hasFields;
    this.output = output;
    this.deps = deps;
    this.onChange = onChange;
    this.base = Math.floor(deps.random() * 2 ** 32);
  }

  get isTaking(): boolean {
    return !this.isClosed && this.left > 0;
  }

  get isOver(): boolean {
    return this.isClosed || (this.left === 0 && this.running === 0);
  }

  begin(
    facts: RequestFacts,
    head: ProxyRequestHead,
    ends: { readonly destination: SocketAddress } & Pick<StreamFrame, 'destinationLabels' | 'routeLabels'>,
  ): TappedStream | undefined {
    if (!this.isTaking) return undefined;
    this.left -= 1;
    this.running += 1;
    const frame: StreamFrame = {
      base: this.base,
      stream: this.nextStream++,
      direction: facts.direction,
      source: numeric(facts.client),
      destination: numeric(ends.destination),
      sourceLabels: facts.sourceLabels(),
      destinationLabels: ends.destinationLabels,
      routeLabels: ends.routeLabels,
    };
    const stream = new TappedStream(frame, this, this.deps);
    this.tell(() => this.deps.codec.requestInit(frame, head, this.hasFields));
    if (this.left === 0) this.onChange();
    return stream;
  }

  /** Events are made only where there is room for them. */
  tell(make: () => Uint8Array): void {
    if (this.isClosed) return;
    if (!this.output.hasRoom) {
      this.deps.dropped.value += 1;
      return;
    }
    this.deps.events.value += 1;
    this.output.event(make());
  }

  ended(): void {
    this.running -= 1;
    if (this.isClosed || !this.isOver) return;
    this.onChange();
    this.output.done();
  }

  close(): void {
    this.isClosed = true;
  }
}

/** A request that one tap shows. */
export class TappedStream {
  /** Of the response's body, so far. */
  bytes = 0;
  private readonly frame: StreamFrame;
  private readonly tap: Tap;
  private readonly deps: TapRegistryDeps;
  private readonly startedMs: number;
  private respondedMs: number | undefined = undefined;
  private headStatus: string | undefined = undefined;
  private isEnded = false;

  constructor(frame: StreamFrame, tap: Tap, deps: TapRegistryDeps) {
    this.frame = frame;
    this.tap = tap;
    this.deps = deps;
    this.startedMs = deps.now();
  }

  response(head: ResponseHead): void {
    if (this.isEnded) return;
    const nowMs = this.deps.now();
    this.respondedMs = nowMs;
    this.headStatus = fieldValue(head.fields, 'grpc-status');
    this.tap.tell(() => this.deps.codec.responseInit(this.frame, nowMs - this.startedMs, head, this.tap.hasFields));
  }

  end({ failure }: Outcome, trailers: Readonly<FieldList> | undefined): void {
    if (failure?.kind === 'reset') this.finish({ resetCode: failure.h2Code }, undefined);
    else if (this.respondedMs === undefined) this.finish(undefined, undefined);
    else this.finish(grpcEnd(trailers === undefined ? this.headStatus : fieldValue(trailers, 'grpc-status')), trailers);
  }

  /** The endpoint did not answer; the request went elsewhere. */
  fail(resetCode: number | undefined): void {
    this.finish(resetCode === undefined ? undefined : { resetCode }, undefined);
  }

  private finish(end: StreamEnd, trailers: Readonly<FieldList> | undefined): void {
    if (this.isEnded) return;
    this.isEnded = true;
    const nowMs = this.deps.now();
    const { respondedMs, tap } = this;
    const sinceResponseMs = respondedMs === undefined ? undefined : nowMs - respondedMs;
    const shown = tap.hasFields ? trailers : undefined;
    tap.tell(() => this.deps.codec.responseEnd(this.frame, nowMs - this.startedMs, sinceResponseMs, this.bytes, end, shown));
    tap.ended();
  }
}

const words: IpWords = new Uint32Array(4);

function numeric({ ip, port }: SocketAddress): NumericAddress {
  const family = parseIp(ip, words);
  const [a = 0, b = 0, c = 0, d = 0] = words;
  const wide = (high: number, low: number): bigint => (BigInt(high) << 32n) | BigInt(low);
  return family === 6 ? { family, first: wide(a, b), last: wide(c, d), port } : { family, first: BigInt(a), last: 0n, port };
}

function grpcEnd(status: string | undefined): StreamEnd {
  if (status === undefined || !/^\d{1,9}$/.test(status)) return undefined;
  return { grpcStatus: Number(status) };
}
