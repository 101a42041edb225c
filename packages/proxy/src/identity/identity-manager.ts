// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's identity over its life (proxy-contract §1.7, §3.2): key and CSR made once (or found where the entry point left them), Certify with
 * the current token, verification of what came back, new TLS contexts swapped in as a whole, renewal at 70 % of the remaining life.
 *
 *   starting ──Certify ok──► certified ──70 % of life──► renewing ──ok──► certified
 *       └──error: retry after MIN_REFRESH──┘                  └──error──┘
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TlsClientContext, createTlsClientContext, createTlsServerContext } from '@weft/net';
import {
  type KeyPair,
  type TrustBundle,
  buildCsr,
  encodePem,
  exportPrivateKeyDer,
  generateKey,
  parseTrustBundle,
  readSubjectAltNames,
  verifyChain,
} from '@weft/pki/lean';
import { CertifyRequestSchema, CertifyResponseSchema } from '@weft/proto/identity';
import type { CounterFamily, Gauge, MetricRegistry } from '@weft/telemetry';
import type { ProxyConfig } from '../config/types.ts';
import { ConfigError } from '../config/values.ts';
import type { GrpcCaller } from '../control/grpc-client.ts';
import { TRANSPORT_ALPN } from '../outbound/endpoint-transport.ts';
import type { Clock } from '../runtime.ts';
import type { LocalIdentity, TlsContexts } from './types.ts';

/** While there is no certificate yet, the operator is told this often (§3.2). */
const WAIT_WARNING_MS = 15_000;
const RENEW_AT = 0.7;
/** A call that has had no answer by then is given up and made anew. Longer than the channel waits for a connection. */
const CERTIFY_TIMEOUT_MS = 40_000;

export interface IdentityDeps {
  readonly config: ProxyConfig;
  readonly clock: Clock;
  /** Milliseconds since the epoch: certificates live in wall-clock time. */
  readonly wallClock: () => number;
  readonly registry: MetricRegistry;
  readonly log: {
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
    error(message: string, fields?: Record<string, unknown>): void;
  };
}

export class IdentityManager implements LocalIdentity {
  readonly name: string;
  readonly serverName: string;
  tls: TlsContexts | undefined = undefined;
  readonly anonymousClient: TlsClientContext;
  private readonly deps: IdentityDeps;
  private readonly anchors: TrustBundle;
  private keys: KeyPair | undefined = undefined;
  private csr: Buffer | undefined = undefined;
  private channel: GrpcCaller | undefined = undefined;
  private cancelTimer: (() => void) | undefined = undefined;
  private cancelWarning: (() => void) | undefined = undefined;
  private lastError = '';
  private readonly onReady: (() => void)[] = [];
  private readonly refreshes: CounterFamily;
  private readonly expiration: Gauge;
  private readonly refreshed: Gauge;

  /** Throws ConfigError where the trust anchors cannot be used. */
  constructor(deps: IdentityDeps) {
    this.deps = deps;
    this.name = deps.config.identityName;
    this.serverName = deps.config.serverName;
    try {
      this.anchors = parseTrustBundle(deps.config.trustAnchorsPem);
    } catch (error) {
      throw new ConfigError('LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', (error as Error).message);
    }
    this.anonymousClient = createTlsClientContext({ trustAnchorsPem: this.anchors.anchorsPem });
    const seconds = { unit: 'seconds' } as const;
    this.expiration = deps.registry
      .gauge(
        'control_identity_cert_expiration_timestamp_seconds',
        'Time when this proxy identity certificate will expire (in seconds since the UNIX epoch)',
        undefined,
        seconds,
      )
      .get();
    this.refreshed = deps.registry
      .gauge(
        'control_identity_cert_refresh_timestamp_seconds',
        'Time when this proxy identity certificate were last refreshed (in seconds since the UNIX epoch)',
        undefined,
        seconds,
      )
      .get();
    this.refreshes = deps.registry.counter(
      'control_identity_cert_refreshes_total',
      'The total number of times this proxy identity certificate has been refreshed by the proxy',
    );
  }

  /** Prepares key, CSR and token file, or throws ConfigError. Call before `start`. */
  async bootstrap(): Promise<void> {
    const { identityDir, tokenFile } = this.deps.config;
    const isDirectory = await stat(identityDir).then(
      (found) => found.isDirectory(),
      () => false,
    );
    if (!isDirectory) throw new ConfigError('LINKERD2_PROXY_IDENTITY_DIR', 'is no directory; mount one (it is never created here)');
    const token = await readFile(tokenFile).catch(() => undefined);
    if (token === undefined || token.length === 0) {
      throw new ConfigError(
        'LINKERD2_PROXY_IDENTITY_TOKEN_FILE',
        'cannot be read or is empty; mount a projected service account token there',
      );
    }
    const keyPath = join(identityDir, 'key.p8');
    const csrPath = join(identityDir, 'csr.der');
    this.keys = generateKey();
    this.csr = buildCsr(this.name, this.keys.privateKey);
    await writePrivate(keyPath, exportPrivateKeyDer(this.keys.privateKey));
    await writePrivate(csrPath, this.csr);
  }

  /** Begins to certify. */
  start(channel: GrpcCaller): void {
    this.channel = channel;
    this.warnWhileWaiting();
    void this.certify();
  }

  /** Calls back once there is a certificate. */
  whenReady(callback: () => void): void {
    if (this.tls !== undefined) callback();
    else this.onReady.push(callback);
  }

  close(): void {
    this.cancelTimer?.();
    this.cancelWarning?.();
  }

  private warnWhileWaiting(): void {
    this.cancelWarning = this.deps.clock.after(WAIT_WARNING_MS, () => {
      if (this.tls !== undefined) return;
      this.deps.log.warn('Waiting for identity to be initialized...', { error: this.lastError });
      this.warnWhileWaiting();
    });
  }

  /** One Certify call. Never rejects: every failure is scheduled to be tried again. */
  private async certify(): Promise<void> {
    const { config } = this.deps;
    let token: Buffer;
    try {
      token = await readFile(config.tokenFile);
    } catch (error) {
      this.failed(`cannot read the token file: ${(error as Error).message}`);
      return;
    }
    const request = create(CertifyRequestSchema, {
      identity: this.name,
      token,
      certificateSigningRequest: this.csr ?? new Uint8Array(0),
    });
    let isSettled = false;
    const settle = (error: string | undefined): void => {
      if (isSettled) return;
      isSettled = true;
      cancelDeadline();
      if (error !== undefined) this.failed(error);
    };
    const call = this.channel?.call('/io.linkerd.proxy.identity.Identity/Certify', toBinary(CertifyRequestSchema, request), {
      onMessage: (message) => settle(this.install(message)),
      onEnd: (status, message) =>
        settle(`identity service: ${message === '' ? 'no certificate in the answer' : message} (gRPC status ${status})`),
    });
    const cancelDeadline = this.deps.clock.after(CERTIFY_TIMEOUT_MS, () => {
      call?.cancel();
      settle('identity service: no answer in time');
    });
  }

  /** Verifies and installs an answer; returns what is wrong with it. */
  private install(message: Uint8Array): string | undefined {
    const { deps, keys } = this;
    let response;
    try {
      response = fromBinary(CertifyResponseSchema, message);
    } catch (error) {
      return `identity service sent an unreadable answer: ${(error as Error).message}`;
    }
    const nowMs = deps.wallClock();
    const validUntilMs = response.validUntil === undefined ? 0 : Number(response.validUntil.seconds) * 1000;
    if (validUntilMs <= nowMs) {
      return `certificate is valid until ${new Date(validUntilMs).toISOString()}, but this host's clock says ${new Date(nowMs).toISOString()}: check both clocks`;
    }
    const leaf = Buffer.from(response.leafCertificate);
    const intermediates = response.intermediateCertificates.map((der) => Buffer.from(der));
    const chain = verifyChain({
      leafDer: leaf,
      intermediatesDer: intermediates,
      anchorsDer: this.anchors.anchorsDer,
      nowMs,
      purpose: 'server',
    });
    if ('error' in chain) return `certificate does not verify against the trust anchors: ${chain.error}`;
    const names = readSubjectAltNames(leaf);
    if ('error' in names || !names.dns.some((name) => name.toLowerCase() === this.name)) return `certificate is not for ${this.name}`;
    if (keys === undefined) return 'no key';
    const certChainPem = [leaf, ...intermediates].map((der) => encodePem('CERTIFICATE', der)).join('');
    const base = { key: keys.privateKey, certChainPem, trustAnchorsPem: this.anchors.anchorsPem };
    try {
      this.tls = {
        server: createTlsServerContext(base),
        directServer: createTlsServerContext({ ...base, alpn: [TRANSPORT_ALPN] }),
        client: createTlsClientContext(base),
      };
    } catch (error) {
      return `certificate cannot be used: ${(error as Error).message}`;
    }
    this.refreshes.get({ result: 'ok' }).value += 1;
    this.expiration.value = validUntilMs / 1000;
    this.refreshed.value = nowMs / 1000;
    this.cancelWarning?.();
    deps.log.info('Certified identity', { id: this.name });
    const refreshMs = Math.min(
      deps.config.identityMaxRefreshMs,
      Math.max(deps.config.identityMinRefreshMs, (validUntilMs - nowMs) * RENEW_AT),
    );
    this.schedule(refreshMs);
    for (const callback of this.onReady.splice(0)) callback();
    return undefined;
  }

  private failed(message: string): void {
    this.lastError = message;
    this.refreshes.get({ result: 'error' }).value += 1;
    this.deps.log.error('Failed to obtain identity', { error: message });
    this.schedule(this.deps.config.identityMinRefreshMs);
  }

  private schedule(ms: number): void {
    this.cancelTimer?.();
    // Timers of more than 24.8 days overflow; MAX_REFRESH keeps well below.
    this.cancelTimer = this.deps.clock.after(ms, () => void this.certify());
  }
}

/** Writes a file that only this user may read, whatever was there before: the mode of an old file would stay. */
async function writePrivate(path: string, bytes: Uint8Array): Promise<void> {
  await rm(path, { force: true });
  await writeFile(path, bytes, { mode: 0o600, flag: 'wx' });
}
