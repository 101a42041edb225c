// SPDX-License-Identifier: Apache-2.0
/*
 * `stack_*` (proxy-contract §7.1): how many layers of a kind were made and dropped, and how often a request found one ready. Our layers are not
 * polled: a request that goes on at once counts as ready, one that has to wait as not ready, and its wait is the time.
 */
import type { Counter, MetricRegistry } from '@weft/telemetry';

const LEGACY = { layout: 'legacy' } as const;

export type StackName = 'logical' | 'balance' | 'forward' | 'endpoint';
export type StackProtocol = 'http' | 'opaq' | 'tls';

/** Counters of one kind of layer. */
export interface StackSeries {
  readonly created: Counter;
  readonly dropped: Counter;
  readonly ready: Counter;
  readonly waiting: Counter;
  readonly waitedMs: Counter;
}

const KINDS: readonly (readonly ['inbound' | 'outbound', StackProtocol, StackName])[] = [
  ['inbound', 'http', 'logical'],
  ...(['http', 'opaq', 'tls'] as const).flatMap((protocol) =>
    (['balance', 'forward', 'endpoint'] as const).map((name) => ['outbound', protocol, name] as const),
  ),
];

/** The layers that a backend is made of. */
export interface BackendStacks {
  layer(kind: 'balance' | 'forward'): StackSeries;
  readonly endpoint: StackSeries | undefined;
}

/** All kinds, there from the start at 0. */
export class StackMetrics {
  private readonly series = new Map<string, StackSeries>();

  constructor(registry: MetricRegistry) {
    const created = registry.counter('stack_create_total', 'Total number of services created', undefined, LEGACY);
    const dropped = registry.counter('stack_drop_total', 'Total number of services dropped', undefined, LEGACY);
    const polls = registry.counter('stack_poll_total', 'Total number of stack polls', undefined, LEGACY);
    const pollMs = registry.counter(
      'stack_poll_total_ms',
      'Total number of milliseconds this service has spent awaiting readiness',
      undefined,
      LEGACY,
    );
    for (const [direction, protocol, name] of KINDS) {
      const labels = { direction, protocol, name };
      polls.get({ ...labels, ready: 'error' });
      this.series.set(`${direction} ${protocol} ${name}`, {
        created: created.get(labels),
        dropped: dropped.get(labels),
        ready: polls.get({ ...labels, ready: 'true' }),
        waiting: polls.get({ ...labels, ready: 'false' }),
        waitedMs: pollMs.get(labels),
      });
    }
  }

  /** The layers of outbound backends. */
  outbound(protocol: StackProtocol): BackendStacks {
    return { layer: (kind) => this.get('outbound', protocol, kind), endpoint: this.get('outbound', protocol, 'endpoint') };
  }

  /** The ways to the application. */
  inbound(): BackendStacks {
    return { layer: () => this.get('inbound', 'http', 'logical'), endpoint: undefined };
  }

  /** The counters of a kind; every kind of `KINDS` has some. */
  get(direction: 'inbound' | 'outbound', protocol: StackProtocol, name: StackName): StackSeries {
    return this.series.get(`${direction} ${protocol} ${name}`) as StackSeries;
  }
}
