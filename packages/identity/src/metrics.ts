// SPDX-License-Identifier: Apache-2.0
/*
 * Metrics of the identity service (features MET-32, ID-08); the gRPC ones are the server's.
 */
import { PromGauge, type PromRegistry } from '@weft/telemetry/prom';
import type { IdentityService } from './identity-service.ts';

/** Declares `issuer_cert_ttl_seconds`, read at each scrape. */
export function registerIdentityMetrics(registry: PromRegistry, service: Pick<IdentityService, 'issuerTtlSeconds'>): void {
  const gauge: PromGauge = new PromGauge({
    name: 'issuer_cert_ttl_seconds',
    help: 'Seconds until the certificate of the issuer ends',
    registers: [registry],
    collect: (): void => gauge.set(service.issuerTtlSeconds()),
  });
}
