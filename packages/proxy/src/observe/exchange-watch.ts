// SPDX-License-Identifier: Apache-2.0
/*
 * What looks on at an exchange: taps and traces (proxy-contract §8). An exchange has at most one of these, made when its request was routed;
 * nearly every one has none, and pays one test of a field.
 */
import type { FieldList } from '@weft/bytes';
import type { Outcome } from '../http/exchange.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import type { ResponseHead } from '../http/types.ts';
import type { EndpointFacts } from './facts.ts';

export interface ExchangeWatch {
  /**
   * The request goes to `endpoint`; called again where another endpoint is tried. Answers with the head to send, which is another one where
   * a trace goes on with it.
   */
  bound(head: ProxyRequestHead, endpoint: EndpointFacts): ProxyRequestHead;
  /** The head of the endpoint's response, before the proxy's own fields are taken off. */
  response(head: ResponseHead): void;
  /** Bytes of the response's body. */
  bytes(count: number): void;
  /** The exchange is over. Called once. */
  end(outcome: Outcome, trailers: Readonly<FieldList> | undefined): void;
}
