// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's identity over its life (proxy-contract §3.2, design §2): certificates from a source, each verified before it is used, TLS contexts
 * swapped in as a whole whenever certificate or anchors change, renewal at 70 % of the remaining life, or at once when the anchor that the
 * certificate hangs on has left the bundle.
 *
 *   starting ──certificate──► certified ──70 % of life──► renewing ──certificate──► certified
 *       └──error: retry after MIN_REFRESH──┘                     └──error──┘
 */
import { type TlsClientContext, createTlsClientContext, createTlsServerContext } from '@weft/net';
import { encodePem, parseTrustBundle, readCertificate, readSubjectAltNames, verifyChain } from '@weft/pki/lean';
import type { MetricRegistry } from '@weft/telemetry';
import type { ProxyConfig } from '../config/types.ts';
import { ConfigError } from '../config/values.ts';
import type { GrpcCaller } from '../control/grpc-client.ts';
import { TRANSPORT_ALPN } from '../outbound/endpoint-transport.ts';
import type { Clock } from '../runtime.ts';
import { CertifyClient, type IssuedCertificate } from './certify-client.ts';
import { IdentityMetrics } from './identity-metrics.ts';
import { readSavedAnchors, saveAnchors } from './saved-anchors.ts';
import { SpireClient } from './spire-client.ts';
import { TrustAnchors } from './trust-anchors.ts';
import { TrustBundleWatch } from './trust-bundle-watch.ts';
import type { LocalIdentity, TlsContexts } from './types.ts';

/** While there is no certificate yet, the operator is told this often (§3.2). */
const WAIT_WARNING_MS = 15_000;
const RENEW_AT = 0.7;
/** When an anchor leaves, all workloads whose certificate hangs on it want another: they ask within this time, not at once. */
const URGENT_RENEWAL_SPREAD_MS = 5_000;

export interface IdentityDeps {
  readonly config: ProxyConfig;
  readonly clock: Clock;
  /** Milliseconds since the epoch: certificates live in wall-clock time. */
  readonly wallClock: () => number;
  readonly registry: MetricRegistry;
  readonly log: {
    debug(message: string, fields?: Record<string, unknown>): void;
    info(message: string, fields?: Record<string, unknown>): void;
    warn(message: string, fields?: Record<string, unknown>): void;
    error(message: string, fields?: Record<string, unknown>): void;
  };
}

/** A certificate in use. */
interface InstalledCertificate extends IssuedCertificate {
  readonly certChainPem: string;
  readonly validUntilMs: number;
}

export class IdentityManager implements LocalIdentity {
  readonly name: string;
  readonly serverName: string;
  tls: TlsContexts | undefined = undefined;
  anonymousClient: TlsClientContext;
  private readonly deps: IdentityDeps;
  private readonly anchors: TrustAnchors;
  private readonly metrics: IdentityMetrics;
  private readonly certifier: CertifyClient;
  private readonly bundleWatch: TrustBundleWatch;
  private spire: SpireClient | undefined = undefined;
  private channel: GrpcCaller | undefined = undefined;
  private installed: InstalledCertificate | undefined = undefined;
  private isCertifying = false;
  private cancelTimer: (() => void) | undefined = undefined;
  private cancelWarning: (() => void) | undefined = undefined;
  private lastError = '';
  private readonly onReady: (() => void)[] = [];

  /** Throws ConfigError where the trust anchors cannot be used. */
  constructor(deps: IdentityDeps) {
    this.deps = deps;
    const { config, clock } = deps;
    this.name = config.identityName;
    this.serverName = config.serverName;
    this.metrics = new IdentityMetrics(deps.registry);
    let initial;
    try {
      initial = parseTrustBundle(config.trustAnchorsPem);
    } catch (error) {
      throw new ConfigError('LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS', (error as Error).message);
    }
    this.anchors = new TrustAnchors(initial, clock, () => this.anchorsChanged());
    this.anonymousClient = createTlsClientContext({ trustAnchorsPem: initial.anchorsPem });
    this.metrics.trusted(initial.anchorsDer.length);
    this.certifier = new CertifyClient(config, clock);
    this.bundleWatch = new TrustBundleWatch({
      clock,
      limits: config.controlStreamLimits,
      log: deps.log,
      onBundle: (anchorsDer) => this.takeBundle(anchorsDer),
    });
  }

  /** Prepares key, CSR and token file, or throws ConfigError. Call before `start`. A workload API needs none of them. */
  async bootstrap(): Promise<void> {
    if (this.deps.config.spire !== undefined) return;
    await this.certifier.bootstrap();
    const saved = await readSavedAnchors(this.deps.config);
    // A container that restarts still has the anchors of its pod's first day in the environment: those that were learned since stand beside them until
    // the bundle of today is known.
    if (saved !== undefined) this.anchors.add(saved);
  }

  /** Begins to certify. */
  start(channel: GrpcCaller): void {
    this.channel = channel;
    this.warnWhileWaiting();
    this.certify();
  }

  /** Takes certificates as a SPIFFE workload API sends them (§3.3). */
  startSpire(channel: GrpcCaller): void {
    const { config, clock } = this.deps;
    if (config.spire === undefined) throw new Error('no workload API is configured');
    this.warnWhileWaiting();
    this.spire = new SpireClient({
      spiffeId: this.name,
      backoff: config.spire.backoff,
      clock,
      onResult: (result) => {
        const flaw = typeof result === 'string' ? result : this.install(result);
        if (flaw !== undefined) this.failed(flaw);
      },
    });
    this.spire.start(channel);
  }

  /** Calls back once there is a certificate. */
  whenReady(callback: () => void): void {
    if (this.tls !== undefined) callback();
    else this.onReady.push(callback);
  }

  close(): void {
    this.cancelTimer?.();
    this.cancelWarning?.();
    this.anchors.close();
    this.bundleWatch.close();
    this.spire?.close();
  }

  private warnWhileWaiting(): void {
    this.cancelWarning = this.deps.clock.after(WAIT_WARNING_MS, () => {
      if (this.tls !== undefined) return;
      this.deps.log.warn('Waiting for identity to be initialized...', { error: this.lastError });
      this.warnWhileWaiting();
    });
  }

  private certify(): void {
    const { channel } = this;
    if (channel === undefined || this.isCertifying) return;
    this.isCertifying = true;
    // Never rejects: what goes wrong comes back as a text.
    void this.certifier.certify(channel, (result) => {
      this.isCertifying = false;
      const flaw = typeof result === 'string' ? result : this.install(result);
      if (flaw !== undefined) this.failed(flaw);
      else this.bundleWatch.ask(channel);
    });
  }

  /** Verifies and installs a certificate; returns what is wrong with it. */
  private install(issued: IssuedCertificate): string | undefined {
    const { deps } = this;
    const nowMs = deps.wallClock();
    const fields = readCertificate(issued.leafDer);
    const validUntilMs = issued.validUntilMs ?? ('fields' in fields ? fields.fields.notAfterMs : 0);
    if (validUntilMs <= nowMs) return `certificate is valid until ${isoTime(validUntilMs)}${clockNote(nowMs)}`;
    if ('fields' in fields && fields.fields.notBeforeMs > nowMs)
      return `certificate is not valid before ${isoTime(fields.fields.notBeforeMs)}${clockNote(nowMs)}`;
    const chain = verifyChain({
      leafDer: issued.leafDer,
      intermediatesDer: issued.intermediatesDer,
      anchorsDer: this.anchors.bundle.anchorsDer,
      nowMs,
      purpose: 'server',
    });
    if ('error' in chain) return `certificate does not verify against the trust anchors: ${chain.error}`;
    if (!isFor(issued.leafDer, this.name)) return `certificate is not for ${this.name}`;
    const certChainPem = [issued.leafDer, ...issued.intermediatesDer].map((der) => encodePem('CERTIFICATE', der)).join('');
    const installed: InstalledCertificate = { ...issued, certChainPem, validUntilMs };
    try {
      this.tls = this.contexts(installed);
    } catch (error) {
      return `certificate cannot be used: ${(error as Error).message}`;
    }
    this.installed = installed;
    this.metrics.certified(validUntilMs, nowMs);
    this.cancelWarning?.();
    deps.log.info('Certified identity', { id: this.name });
    const { identityMinRefreshMs, identityMaxRefreshMs } = deps.config;
    this.schedule(Math.min(identityMaxRefreshMs, Math.max(identityMinRefreshMs, (validUntilMs - nowMs) * RENEW_AT)));
    for (const callback of this.onReady.splice(0)) callback();
    return undefined;
  }

  private contexts({ privateKey, certChainPem }: InstalledCertificate): TlsContexts {
    const base = { key: privateKey, certChainPem, trustAnchorsPem: this.anchors.trusted.anchorsPem };
    return {
      server: createTlsServerContext(base),
      directServer: createTlsServerContext({ ...base, alpn: [TRANSPORT_ALPN] }),
      client: createTlsClientContext(base),
    };
  }

  private takeBundle(anchorsDer: readonly Uint8Array[]): void {
    const { log, config } = this.deps;
    const change = this.anchors.replace(anchorsDer);
    if (change === undefined) return;
    if (typeof change === 'string') {
      this.metrics.bundle('error');
      log.warn('Trust bundle not taken; the anchors stay as they are', { error: change });
      return;
    }
    this.metrics.bundle('ok');
    log.info('Trust anchors changed', { ...change });
    // Without the file a restart of the container falls back to the environment's anchors.
    const error = saveAnchors(config, this.anchors.bundle.anchorsPem);
    if (error !== undefined) log.warn('Trust anchors not saved', { error });
    this.renewIfUncovered();
  }

  /** New handshakes are verified against the anchors of now; connections that stand are left alone. */
  private anchorsChanged(): void {
    const { trusted } = this.anchors;
    this.metrics.trusted(trusted.anchorsDer.length);
    this.anonymousClient = createTlsClientContext({ trustAnchorsPem: trusted.anchorsPem });
    if (this.installed !== undefined) this.tls = this.contexts(this.installed);
  }

  /** The own certificate hangs on an anchor that has gone: peers will turn it away once their grace is over. */
  private renewIfUncovered(): void {
    const { installed, deps } = this;
    if (installed === undefined) return;
    const chain = verifyChain({
      leafDer: installed.leafDer,
      intermediatesDer: installed.intermediatesDer,
      anchorsDer: this.anchors.bundle.anchorsDer,
      nowMs: deps.wallClock(),
      purpose: 'server',
    });
    if ('error' in chain) this.schedule(deps.clock.random() * URGENT_RENEWAL_SPREAD_MS);
  }

  private failed(message: string): void {
    const { deps, installed } = this;
    this.lastError = message;
    this.metrics.failed();
    const nowMs = deps.wallClock();
    deps.log.error('Failed to obtain identity', {
      error: message,
      ...(installed === undefined ? {} : { in_use: `${validityOf(installed.validUntilMs, nowMs)}${clockNote(nowMs)}` }),
    });
    this.schedule(deps.config.identityMinRefreshMs);
  }

  /** A workload API sends the next certificate by itself. */
  private schedule(ms: number): void {
    if (this.channel === undefined) return;
    this.cancelTimer?.();
    this.cancelTimer = this.deps.clock.after(ms, () => this.certify());
  }
}

/** Names are DNS names without case, or SPIFFE IDs with it. */
function isFor(leafDer: Buffer, identity: string): boolean {
  const names = readSubjectAltNames(leafDer);
  if ('error' in names) return false;
  return identity.startsWith('spiffe:') ? names.uris.includes(identity) : names.dns.some((name) => name.toLowerCase() === identity);
}

function validityOf(validUntilMs: number, nowMs: number): string {
  return validUntilMs <= nowMs
    ? `the certificate in use ran out at ${isoTime(validUntilMs)}`
    : `the certificate in use is valid until ${isoTime(validUntilMs)}`;
}

function clockNote(nowMs: number): string {
  return `, but this host's clock says ${isoTime(nowMs)}: check both clocks`;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
