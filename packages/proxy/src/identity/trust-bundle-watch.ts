// SPDX-License-Identifier: Apache-2.0
/*
 * The client of `weft.identity.v1.TrustBundle/Watch` (design §2) on the channel to the identity service, which verified that service against the
 * anchors of the moment. A control plane that does not know this service is no trouble: it is asked once for each certificate, quietly.
 *
 *   stopped ──ask──► watching ──UNIMPLEMENTED──► stopped
 *                        └──any other end: slow back-off──┘
 */
import { fromBinary, toBinary, create } from '@bufbuild/protobuf';
import { WatchRequestSchema, WatchResponseSchema } from '@weft/proto/trust-bundle';
import type { Backoff, ControlStreamLimits } from '../config/types.ts';
import { GRPC_UNIMPLEMENTED, type GrpcCaller } from '../control/grpc-client.ts';
import { WatchStream } from '../control/watch-stream.ts';
import type { Clock } from '../runtime.ts';

/** Anchors change a few times a year: who is refused asks again slowly. */
const RETRY_BACKOFF: Backoff = { minMs: 2000, maxMs: 600_000, jitterRatio: 0.5 };
const NO_LIMITS: ControlStreamLimits = { initialTimeoutMs: undefined, idleTimeoutMs: undefined, lifetimeMs: undefined };
const PATH = '/weft.identity.v1.TrustBundle/Watch';

export interface TrustBundleWatchDeps {
  readonly clock: Clock;
  readonly limits: ControlStreamLimits;
  readonly log: { debug(message: string, fields?: Record<string, unknown>): void };
  /** A bundle, each anchor in DER. */
  onBundle(anchorsDer: readonly Uint8Array[]): void;
}

export class TrustBundleWatch {
  private readonly deps: TrustBundleWatchDeps;
  private stream: WatchStream | undefined = undefined;

  constructor(deps: TrustBundleWatchDeps) {
    this.deps = deps;
  }

  /** Watches, if it does not already. */
  ask(channel: GrpcCaller): void {
    if (this.stream !== undefined) return;
    const { clock, limits, log } = this.deps;
    this.stream = new WatchStream({
      channel,
      path: PATH,
      request: toBinary(WatchRequestSchema, create(WatchRequestSchema)),
      limits: channel.isLoopback ? NO_LIMITS : limits,
      backoff: RETRY_BACKOFF,
      clock,
      onMessage: (message) => {
        let response;
        try {
          response = fromBinary(WatchResponseSchema, message);
        } catch {
          log.debug('unreadable trust bundle');
          return;
        }
        this.deps.onBundle(response.trustAnchors);
      },
      shouldRetry: (status, message) => {
        log.debug('trust bundle watch ended', { status, error: message });
        if (status !== GRPC_UNIMPLEMENTED) return true;
        this.stream = undefined;
        return false;
      },
    });
  }

  close(): void {
    this.stream?.close();
  }
}
