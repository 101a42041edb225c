// SPDX-License-Identifier: Apache-2.0
/* The volumes that injection adds (control-contract §4.4 items 4 and 6, feature INJ-16). */
import type { JsonObject } from '../json-object.ts';
import type { InjectorValues } from '../values.ts';
import { TOKEN_NAME } from './proxy-env.ts';

/** Key and certificate request of the proxy, in memory. */
export const IDENTITY_VOLUME: string = 'linkerd-identity-end-entity';
/** Token for the identity service. */
export const TOKEN_VOLUME: string = 'linkerd-identity-token';
/** The pod's labels, for span attributes. */
export const PODINFO_VOLUME: string = 'linkerd-podinfo';
/** Who may use such a token: the identity service. */
const TOKEN_AUDIENCE = 'identity.l5d.io';
const TOKEN_LIFETIME_SECONDS = 86_400;

/** The lock file that iptables needs in a container with a read-only root. */
export function lockVolume({ proxyInit }: InjectorValues): JsonObject {
  return { emptyDir: {}, name: proxyInit.xtMountPath.name };
}

/** The volumes of the proxy container. */
export function proxyVolumes(values: InjectorValues): readonly JsonObject[] {
  const volumes: JsonObject[] = [];
  if (values.proxy.tracing.enabled) {
    volumes.push({ downwardAPI: { items: [{ fieldRef: { fieldPath: 'metadata.labels' }, path: 'labels' }] }, name: PODINFO_VOLUME });
  }
  volumes.push({ emptyDir: { medium: 'Memory' }, name: IDENTITY_VOLUME });
  if (values.serviceAccountTokenProjection) {
    const token = { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_LIFETIME_SECONDS, path: TOKEN_NAME };
    volumes.push({ name: TOKEN_VOLUME, projected: { sources: [{ serviceAccountToken: token }] } });
  }
  return volumes;
}
