// SPDX-License-Identifier: Apache-2.0
/* What the metrics page says of this proxy's identity (proxy-contract §7.2), and of the anchors that it trusts. */
import type { CounterFamily, Gauge, MetricRegistry } from '@weft/telemetry';

const SECONDS = { unit: 'seconds' } as const;

export class IdentityMetrics {
  private readonly refreshes: CounterFamily;
  private readonly expiration: Gauge;
  private readonly refreshed: Gauge;
  private readonly bundles: CounterFamily;
  private readonly anchors: Gauge;

  constructor(registry: MetricRegistry) {
    this.expiration = registry
      .gauge(
        'control_identity_cert_expiration_timestamp_seconds',
        'Time when this proxy identity certificate will expire (in seconds since the UNIX epoch)',
        undefined,
        SECONDS,
      )
      .get();
    this.refreshed = registry
      .gauge(
        'control_identity_cert_refresh_timestamp_seconds',
        'Time when this proxy identity certificate were last refreshed (in seconds since the UNIX epoch)',
        undefined,
        SECONDS,
      )
      .get();
    this.refreshes = registry.counter(
      'control_identity_cert_refreshes_total',
      'The total number of times this proxy identity certificate has been refreshed by the proxy',
    );
    this.bundles = registry.counter('weft_trust_bundle_updates_total', 'Trust bundles received that changed the anchors, or were refused');
    this.anchors = registry.gauge('weft_trust_anchors', 'Trust anchors that new connections are verified against').get();
  }

  certified(validUntilMs: number, nowMs: number): void {
    this.refreshes.get({ result: 'ok' }).value += 1;
    this.expiration.value = validUntilMs / 1000;
    this.refreshed.value = nowMs / 1000;
  }

  failed(): void {
    this.refreshes.get({ result: 'error' }).value += 1;
  }

  bundle(result: 'ok' | 'error'): void {
    this.bundles.get({ result }).value += 1;
  }

  trusted(count: number): void {
    this.anchors.value = count;
  }
}
