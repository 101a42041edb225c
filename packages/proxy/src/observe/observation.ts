// SPDX-License-Identifier: Apache-2.0
/*
 * Taps and traces together, as the data path sees them (proxy-contract §8): one field says whether a request has to be looked at, and one
 * object looks at it. A proxy without either has no Observation at all.
 */
import type { FieldList } from '@weft/bytes';
import type { Outcome } from '../http/exchange.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ResponseHead, ServerConnectionInfo } from '../http/types.ts';
import type { TapRegistry, TappedStream } from '../tap/tap-registry.ts';
import type { TracedRequest, Tracer } from '../traces/tracer.ts';
import type { ExchangeWatch } from './exchange-watch.ts';
import { type EndpointFacts, OutboundFacts, type RequestFacts } from './facts.ts';

export class Observation {
  /** Whether requests are to be looked at now: always with a tracer, else while somebody taps. */
  isOn: boolean;
  private readonly taps: TapRegistry | undefined;
  private readonly tracer: Tracer | undefined;

  constructor(taps: TapRegistry | undefined, tracer: Tracer | undefined) {
    this.taps = taps;
    this.tracer = tracer;
    this.isOn = tracer !== undefined;
    if (taps !== undefined) {
      taps.onChange = (isActive) => {
        this.isOn = isActive || tracer !== undefined;
      };
    }
  }

  /** Looks at a request that the application sent; `destination` is the `ip:port` that it dialled. */
  outbound(head: ProxyRequestHead, connection: ServerConnectionInfo, destination: string): ExchangeWatch | undefined {
    const traced = this.tracer?.begin(head, 'outbound', destination);
    const taps = this.taps?.isActive === true ? this.taps : undefined;
    if (taps === undefined) return traced === undefined ? undefined : new Watch(undefined, undefined, traced);
    return new Watch(taps, new OutboundFacts(head, connection, destination), traced);
  }

  /** Looks at a request that will be refused before it has anywhere to go: taps do not show those, traces do. */
  refused(head: ProxyRequestHead, direction: 'inbound' | 'outbound', destination: string): ExchangeWatch | undefined {
    const traced = this.tracer?.begin(head, direction, destination);
    return traced === undefined ? undefined : new Watch(undefined, undefined, traced);
  }

  /** Looks at a request to the application. */
  inbound(facts: RequestFacts): ExchangeWatch | undefined {
    const traced = this.tracer?.begin(facts.head, 'inbound', facts.destination);
    const taps = this.taps?.isActive === true ? this.taps : undefined;
    return taps === undefined && traced === undefined ? undefined : new Watch(taps, facts, traced);
  }
}

/** What looks at one request. */
class Watch implements ExchangeWatch {
  private readonly taps: TapRegistry | undefined;
  private readonly facts: RequestFacts | undefined;
  private readonly traced: TracedRequest | undefined;
  private streams: TappedStream[] | undefined = undefined;

  constructor(taps: TapRegistry | undefined, facts: RequestFacts | undefined, traced: TracedRequest | undefined) {
    this.taps = taps;
    this.facts = facts;
    this.traced = traced;
  }

  bound(head: ProxyRequestHead, endpoint: EndpointFacts): ProxyRequestHead {
    if (this.streams !== undefined) for (const stream of this.streams) stream.fail(undefined);
    const sent = this.traced === undefined ? head : this.traced.bound(head, endpoint);
    this.streams = this.taps === undefined || this.facts === undefined ? undefined : this.taps.begin(this.facts, sent, endpoint);
    return sent;
  }

  response(head: ResponseHead): void {
    if (this.streams !== undefined) for (const stream of this.streams) stream.response(head);
    this.traced?.response(head.status);
  }

  bytes(count: number): void {
    if (this.streams !== undefined) for (const stream of this.streams) stream.bytes += count;
  }

  end(outcome: Outcome, trailers: Readonly<FieldList> | undefined): void {
    if (this.streams !== undefined) for (const stream of this.streams) stream.end(outcome, trailers);
    this.traced?.end(outcome);
  }
}
