// SPDX-License-Identifier: Apache-2.0
/*
 * The mesh's certificate authority as one object: its issuer with rotation (control-contract §2.1, §2.2, features ID-06 to ID-08), its
 * trust anchors, and the two gRPC services over them. Loading fails loudly at start; afterwards what works stays in force.
 */
import { create } from '@bufbuild/protobuf';
import { GRPC_CODES, type CallContext, type GrpcServer, type ServerStream, type ServiceHandlers } from '@weft/grpc-server';
import type { TokenReviewer } from '@weft/pki';
import { Identity, type CertifyRequest, type CertifyResponse } from '@weft/proto/identity';
import { TrustBundle, WatchResponseSchema } from '@weft/proto/trust-bundle';
import type { Logger } from '@weft/telemetry';
import { certify } from './certify.ts';
import { IdentityError } from './errors.ts';
import type { EventRecorder, EventSubject } from './events.ts';
import { Issuer, issuerFileNames } from './issuer.ts';
import type { MaterialSource } from './material.ts';
import { TrustAnchors } from './trust-anchors.ts';
import type { IdentityDomain } from './workload-identity.ts';

export interface IdentityServiceOptions {
  readonly domain: IdentityDomain;
  /** Holds the issuer's certificate and key under the names of `issuerScheme`. */
  readonly issuer: MaterialSource;
  /** `linkerd.io/tls`, or anything else for the names of `kubernetes.io/tls`. */
  readonly issuerScheme: string;
  /** Holds the bundle under TRUST_BUNDLE_FILE. */
  readonly trustAnchors: MaterialSource;
  readonly reviewer: TokenReviewer;
  /** Default DEFAULT_ISSUANCE_LIFETIME_MS. */
  readonly issuanceLifetimeMs?: number;
  /** Default DEFAULT_CLOCK_SKEW_MS. */
  readonly clockSkewMs?: number;
  readonly events: EventRecorder;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /**
   * Answer TrustBundle/Watch only to callers that the proxy in front authenticated against the current anchors, by the
   * `l5d-client-id` that it sets and strips (features ID-10). Default true; false only where no proxy stands in front.
   */
  readonly requiresClientIdentity?: boolean;
}

/** 24 hours (features ID-04). */
export const DEFAULT_ISSUANCE_LIFETIME_MS = 86_400_000;
/** Without the flag, ten seconds (control-contract §2.1); the chart passes twenty. */
export const DEFAULT_CLOCK_SKEW_MS = 10_000;

type IdentityHandlers = ServiceHandlers<(typeof Identity)['method']>;
type TrustBundleHandlers = ServiceHandlers<(typeof TrustBundle)['method']>;

const CLIENT_ID_KEY = 'l5d-client-id';

/** A running certificate authority. */
export class IdentityService {
  private readonly options: IdentityServiceOptions;
  private readonly anchors: TrustAnchors;
  private readonly now: () => number;
  private readonly deployment: EventSubject;
  private readonly watches: { close(): void }[];
  private issuer: Issuer;

  private constructor(options: IdentityServiceOptions, anchors: TrustAnchors, issuer: Issuer) {
    this.options = options;
    this.anchors = anchors;
    this.issuer = issuer;
    this.now = options.now ?? Date.now;
    this.deployment = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      namespace: options.domain.controllerNamespace,
      name: 'linkerd-identity',
    };
    // Never rejects: reloadIssuer catches.
    this.watches = [options.issuer.watch(() => void this.reloadIssuer()), anchors];
  }

  /** Loads anchors and issuer and begins to watch them. Rejects with IdentityError when either cannot be used. */
  static async start(options: IdentityServiceOptions): Promise<IdentityService> {
    const anchors = await TrustAnchors.load(options.trustAnchors, options.logger);
    try {
      const issuer = await readIssuer(options, anchors, (options.now ?? Date.now)());
      return new IdentityService(options, anchors, issuer);
    } catch (error) {
      anchors.close();
      throw error;
    }
  }

  /** Adds both services to a server. */
  register(server: GrpcServer): void {
    const identity: IdentityHandlers = { certify: (request) => this.certify(request) };
    const trustBundle: TrustBundleHandlers = { watch: (_request, stream) => this.watchTrustBundle(stream) };
    server.register(Identity, identity);
    server.register(TrustBundle, trustBundle);
  }

  /** Answers Certify; throws GrpcStatusError. */
  certify(request: CertifyRequest): Promise<CertifyResponse> {
    const { domain, reviewer, events, logger, issuanceLifetimeMs, clockSkewMs } = this.options;
    return certify(request, {
      domain,
      issuer: this.issuer,
      anchors: this.anchors,
      reviewer,
      lifetimeMs: issuanceLifetimeMs ?? DEFAULT_ISSUANCE_LIFETIME_MS,
      clockSkewMs: clockSkewMs ?? DEFAULT_CLOCK_SKEW_MS,
      now: this.now,
      events,
      deployment: this.deployment,
      logger,
    });
  }

  /** Streams the bundle now and after each change (design §2). */
  watchTrustBundle(stream: ServerStream<typeof WatchResponseSchema>): void {
    if (!this.isAllowed(stream)) {
      stream.error(GRPC_CODES.UNAUTHENTICATED, 'the trust bundle is only for clients with a verified identity');
      return;
    }
    const send = (): void => {
      stream.send(create(WatchResponseSchema, { trustAnchors: [...this.anchors.anchorsDer] }));
    };
    send();
    const subscription = this.anchors.onChange(send);
    stream.onCancel(() => subscription.close());
  }

  /** Seconds until the issuer's certificate ends, negative afterwards (features ID-08). */
  issuerTtlSeconds(): number {
    return (this.issuer.notAfterMs - this.now()) / 1000;
  }

  /** Stops watching. Calls under way are answered. */
  close(): void {
    for (const watch of this.watches) watch.close();
  }

  private isAllowed(context: CallContext): boolean {
    // The proxy of this very pod dials past itself (control-contract §1.6), so nobody names it; what comes through it has the pod's address.
    if (this.options.requiresClientIdentity === false || isLoopbackPeer(context.peer)) return true;
    return (context.metadata(CLIENT_ID_KEY) ?? '') !== '';
  }

  private async reloadIssuer(): Promise<void> {
    const { events, logger } = this.options;
    try {
      const issuer = await readIssuer(this.options, this.anchors, this.now());
      if (issuer.equals(this.issuer)) return;
      this.issuer = issuer;
      logger.info('Issuer updated', { expires: new Date(issuer.notAfterMs).toISOString() });
      events.record(this.deployment, 'Normal', 'IssuerUpdated', 'Updated identity issuer');
    } catch (error) {
      const { message } = error as Error;
      logger.warn('Issuer update skipped', { error: message });
      events.record(this.deployment, 'Warning', 'IssuerUpdateSkipped', `Skipping issuer update as certs could not be read: ${message}`);
    }
  }
}

/** `peer` is `ip:port`, as the server has it. */
function isLoopbackPeer(peer: string): boolean {
  const ip = peer.slice(0, Math.max(0, peer.lastIndexOf(':'))).replaceAll(/[[\]]/g, '');
  return ip === '::1' || /^(?:::ffff:)?127\./i.test(ip);
}

async function readIssuer(options: IdentityServiceOptions, anchors: TrustAnchors, nowMs: number): Promise<Issuer> {
  const { location } = options.issuer;
  const names = issuerFileNames(options.issuerScheme);
  const texts = await options.issuer.read();
  const [certificatePem, keyPem] = [texts[names.certificate], texts[names.key]];
  for (const [name, text] of [
    [names.certificate, certificatePem],
    [names.key, keyPem],
  ]) {
    if (text === undefined) throw new IdentityError('ERR_IDENTITY_MATERIAL', `no ${name} in ${location}`);
  }
  const issuer = Issuer.parse(certificatePem ?? '', keyPem ?? '');
  const flaw = issuer.verify(anchors.anchorsDer, nowMs);
  if (flaw !== undefined)
    throw new IdentityError('ERR_IDENTITY_ISSUER', `the issuer in ${location} does not verify against the trust anchors: ${flaw}`);
  return issuer;
}
