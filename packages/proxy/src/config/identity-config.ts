// SPDX-License-Identifier: Apache-2.0
/*
 * Who this proxy is and who certifies it (proxy-contract §1.5, §3.1, §3.3): the identity service of the mesh with a token, or a SPIFFE
 * workload API on a Unix socket. The variables decide which; each has its own rules for the two names.
 */
import { controlAddress } from './control-address.ts';
import { isDnsIdentity, isSpiffeId } from './names.ts';
import type { Backoff, ControlAddress } from './types.ts';
import { ConfigError, type EnvReader, variableName } from './values.ts';

/** The SPIFFE workload API that certifies this proxy (§3.3). */
export interface SpireConfig {
  readonly socketPath: string;
  readonly backoff: Backoff;
}

export interface IdentityConfig {
  readonly trustAnchorsPem: string;
  /** DNS name, or `spiffe://…` where a workload API certifies. */
  readonly identityName: string;
  /** SNI that others send to reach this proxy. */
  readonly serverName: string;
  /** Empty in SPIRE mode, which keeps nothing on disk. */
  readonly identityDir: string;
  readonly tokenFile: string;
  /** Undefined in SPIRE mode. */
  readonly identityService: ControlAddress | undefined;
  readonly identityMinRefreshMs: number;
  readonly identityMaxRefreshMs: number;
  readonly spire: SpireConfig | undefined;
}

/** Throws ConfigError. */
export function identityConfig(env: EnvReader): IdentityConfig {
  if ((env.text('IDENTITY_DISABLED') ?? '') !== '')
    throw new ConfigError(variableName('IDENTITY_DISABLED'), 'is set, but identity is mandatory; unset it');
  const trustAnchorsPem = env.required('IDENTITY_TRUST_ANCHORS', 'give the trust anchors as PEM text');
  const localName = env.text('IDENTITY_LOCAL_NAME');
  const idVariable = localName === undefined ? 'IDENTITY_SERVER_ID' : 'IDENTITY_LOCAL_NAME';
  const id = localName ?? env.required('IDENTITY_SERVER_ID', `or set ${variableName('IDENTITY_LOCAL_NAME')}`);
  const serverName = (localName ?? env.required('IDENTITY_SERVER_NAME', `or set ${variableName('IDENTITY_LOCAL_NAME')}`)).toLowerCase();
  if (localName === undefined && !isDnsIdentity(serverName))
    throw new ConfigError(variableName('IDENTITY_SERVER_NAME'), 'is not a DNS name without trailing dot');
  const refresh = {
    identityMinRefreshMs: env.durationMs('IDENTITY_MIN_REFRESH', 10_000),
    identityMaxRefreshMs: env.durationMs('IDENTITY_MAX_REFRESH', 86_400_000),
  };
  const spire = spireConfig(env);
  if (spire !== undefined) {
    if (!isSpiffeId(id))
      throw new ConfigError(variableName(idVariable), 'must be a spiffe:// URI, since a SPIFFE workload API certifies this proxy');
    return { trustAnchorsPem, identityName: id, serverName, identityDir: '', tokenFile: '', identityService: undefined, ...refresh, spire };
  }
  const identityName = id.toLowerCase();
  if (!isDnsIdentity(identityName)) throw new ConfigError(variableName(idVariable), 'is not a DNS name without trailing dot');
  if (identityName !== serverName) throw new ConfigError(variableName('IDENTITY_SERVER_NAME'), 'must equal IDENTITY_SERVER_ID');
  return {
    trustAnchorsPem,
    identityName,
    serverName,
    identityDir: env.required('IDENTITY_DIR', 'give the directory for the key and the CSR'),
    tokenFile: env.required('IDENTITY_TOKEN_FILE', 'give the path of the projected service account token'),
    identityService: controlAddress(env, 'IDENTITY_SVC'),
    ...refresh,
    spire,
  };
}

function spireConfig(env: EnvReader): SpireConfig | undefined {
  // Read in either mode: a value that cannot be used is a mistake wherever it stands. Users of the reference know these names with
  // their prefix written twice (§1.5).
  const backoff = env.backoff('LINKERD2_PROXY_IDENTITY_SPIRE', { minMs: 100, maxMs: 1000, jitterRatio: 0.1 });
  const name =
    env.text('IDENTITY_SPIRE_WORKLOAD_API_ADDRESS') === undefined ? 'IDENTITY_SPIRE_SOCKET' : 'IDENTITY_SPIRE_WORKLOAD_API_ADDRESS';
  const address = env.text(name);
  if (address === undefined) return undefined;
  const socketPath = address.replace(/^unix:/, '').replace(/^\/{2,}/, '/');
  if (!socketPath.startsWith('/'))
    throw new ConfigError(variableName(name), 'is not an absolute path of a Unix socket, such as unix:///run/spire/agent.sock');
  return { socketPath, backoff };
}
