// SPDX-License-Identifier: Apache-2.0
/*
 * `rustls_info` (proxy-contract §7.2): what this proxy's TLS offers, under the name that dashboards of the reference look for. Our engine is
 * OpenSSL, and the labels say so; the lists end with a comma, as there.
 */
import type { MetricRegistry } from '@weft/telemetry';

/** In order of preference, as `@weft/net` configures them (§3.4). */
const SUITES = ['TLS13_AES_128_GCM_SHA256', 'TLS13_AES_256_GCM_SHA384', 'TLS13_CHACHA20_POLY1305_SHA256'];
const GROUPS = ['X25519MLKEM768', 'X25519', 'secp256r1', 'secp384r1'];
const ENGINE = 'OpenSSL';

export function tlsInfo(registry: MetricRegistry): void {
  const list = (names: readonly string[]): string => names.map((name) => `${name},`).join('');
  registry.gauge('rustls_info', 'Proxy TLS info').get({
    tls_suites: list(SUITES),
    tls_kx_groups: list(GROUPS),
    tls_rand: ENGINE,
    tls_key_provider: ENGINE,
    tls_fips: 'false',
  }).value = 1;
}
