// SPDX-License-Identifier: Apache-2.0
/* A complete environment of a proxy, as the injector writes it, to be varied by tests. */
import { parseConfig } from '../config/parse-config.ts';
import type { ProxyConfig } from '../config/types.ts';
import type { Environment } from '../config/values.ts';

export const LOCAL_ID = 'server.shop.serviceaccount.identity.linkerd.cluster.local';

/** Everything that is required, and nothing else. */
export const MINIMAL_ENVIRONMENT: Environment = {
  LINKERD2_PROXY_DESTINATION_SVC_ADDR: 'localhost.:8086',
  LINKERD2_PROXY_POLICY_SVC_ADDR: 'localhost.:8090',
  LINKERD2_PROXY_IDENTITY_SVC_ADDR: 'localhost.:8080',
  LINKERD2_PROXY_POLICY_WORKLOAD: '{"ns":"shop", "pod":"server"}\n',
  LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS: '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n',
  LINKERD2_PROXY_IDENTITY_LOCAL_NAME: LOCAL_ID,
  LINKERD2_PROXY_IDENTITY_DIR: '/var/run/linkerd/identity/end-entity',
  LINKERD2_PROXY_IDENTITY_TOKEN_FILE: '/var/run/secrets/tokens/linkerd-identity-token',
};

/** The configuration of the minimal environment with changes; names come without their prefix. */
export function testConfig(changes: Environment = {}): ProxyConfig {
  const prefixed = Object.fromEntries(Object.entries(changes).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value]));
  return parseConfig({ ...MINIMAL_ENVIRONMENT, ...prefixed }).config;
}
