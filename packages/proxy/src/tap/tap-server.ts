// SPDX-License-Identifier: Apache-2.0
/*
 * The control port (proxy-contract §2.1, §8; features VIZ-08): TLS with this proxy's own certificate, HTTP/2, `Tap.Observe` for the one client
 * identity that TAP_SVC_NAME names. Plaintext is for loopback alone; whoever else comes is answered UNAUTHENTICATED, call by call.
 */
import { parseCidr } from '@weft/authz';
import { type ByteStream, acceptTls } from '@weft/net';
import type { MetricRegistry } from '@weft/telemetry';
import { ipText } from '../discovery/translate-common.ts';
import { H2ServerConnection } from '../http/h2-server.ts';
import type { KeepAliveOptions } from '../http/keep-alive.ts';
import type { LocalIdentity } from '../identity/types.ts';
import { isLoopback } from '../outbound/outbound-server.ts';
import type { Clock } from '../runtime.ts';
import { peekTls } from '../tcp/peek-tls.ts';
import type { TapCodec } from './tap-codec.ts';
import type { NetworkParser } from './tap-match.ts';
import { TapRegistry } from './tap-registry.ts';
import { TapService } from './tap-service.ts';

/** For the first bytes, and again for the TLS handshake: a forwarded port may lead around the world. */
const DETECT_TIMEOUT_MS = 5000;
/** A client that may not observe is shown out after this long; its calls have been answered by then. */
const REFUSED_LIFE_MS = 10_000;
/** A client that is gone without a word is found out by then, and its taps end. */
const KEEP_ALIVE: KeepAliveOptions = { intervalMs: 30_000, timeoutMs: 10_000, isWhileIdle: true };
/** Connections at one time; one more is closed at once. */
export const MAX_TAP_CONNECTIONS = 64;

export interface TapServerDeps {
  /** Identity that may observe: a lower-case DNS name, or a URI. */
  readonly clientName: string;
  readonly identity: LocalIdentity;
  readonly clock: Clock;
  readonly codec: TapCodec;
  readonly registry: TapRegistry;
}

export class TapServer {
  private readonly deps: TapServerDeps;
  private readonly connections = new Set<{ drain(): void }>();
  private accepted = 0;

  constructor(deps: TapServerDeps) {
    this.deps = deps;
  }

  accept(stream: ByteStream): void {
    if (this.accepted >= MAX_TAP_CONNECTIONS) {
      stream.destroy({ reset: true });
      return;
    }
    this.accepted += 1;
    const { clock, identity, clientName } = this.deps;
    const gone = (): void => {
      this.accepted -= 1;
    };
    peekTls(
      stream,
      DETECT_TIMEOUT_MS,
      clock,
      (peek) => {
        const contexts = identity.tls;
        if (peek.kind !== 'sni' || peek.sni.toLowerCase() !== identity.serverName.toLowerCase() || contexts === undefined) {
          this.serve(stream, isLoopback(stream.remote.ip) ? undefined : 'no_tls_from_remote', gone);
          return;
        }
        acceptTls(
          stream,
          contexts.server,
          { timeoutMs: DETECT_TIMEOUT_MS },
          {
            onSecure: (secure, peer) => {
              const isAllowed = peer.identities.some((name) => name === clientName || name.toLowerCase() === clientName);
              this.serve(secure, isAllowed ? undefined : 'Unauthorized client', gone);
            },
            onError: gone,
          },
        );
      },
      gone,
    );
  }

  close(): void {
    for (const connection of this.connections) connection.drain();
  }

  private serve(stream: ByteStream, refusal: string | undefined, gone: () => void): void {
    const { registry, codec, clock } = this.deps;
    const handler = new TapService({ registry, codec, parseNetwork }, refusal, () => {
      cancel?.();
      this.connections.delete(connection);
      gone();
    });
    const connection = new H2ServerConnection(stream, handler, { codec: {}, keepAlive: KEEP_ALIVE }, clock);
    const cancel = refusal === undefined ? undefined : clock.after(REFUSED_LIFE_MS, () => connection.drain());
    this.connections.add(connection);
    connection.start();
  }
}

const parseNetwork: NetworkParser = (ip, bits) => {
  const parsed = parseCidr(`${ipText(ip)}/${bits}`);
  return 'error' in parsed ? undefined : (address) => parsed.cidr.contains(address);
};

/** The registry with its counters. */
export function createTapRegistry(metrics: MetricRegistry, clock: Clock, codec: TapCodec): TapRegistry {
  return new TapRegistry({
    now: clock.now,
    random: clock.random,
    codec,
    events: metrics.counter('weft_tap_events_total', 'Events told to taps').get(),
    dropped: metrics.counter('weft_tap_events_dropped_total', 'Events that a tap did not take in time').get(),
  });
}
