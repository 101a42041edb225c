// SPDX-License-Identifier: Apache-2.0
/*
 * What is asked of the control plane for one outbound target, and what its answers make together (proxy-contract §5.3, §2.5): the profile and
 * the policy of an original destination, or of a name that an ingress (`l5d-dst-override`) or a gateway was asked for. The target exists once both
 * have been answered; what is learnt later replaces it.
 */
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { DestinationProfileSchema, GetDestinationSchema } from '@weft/proto/destination';
import { OutboundPolicySchema, type TrafficSpec, TrafficSpecSchema } from '@weft/proto/outbound';
import type { SocketAddress } from '@weft/net';
import type { OutboundPolicy, Profile } from '@weft/routing';
import type { ControlStreamLimits, ProxyConfig } from '../config/types.ts';
import {
  GRPC_FAILED_PRECONDITION,
  GRPC_INVALID_ARGUMENT,
  GRPC_NOT_FOUND,
  GRPC_UNIMPLEMENTED,
  type GrpcCaller,
} from '../control/grpc-client.ts';
import { WatchStream } from '../control/watch-stream.ts';
import type { Clock } from '../runtime.ts';
import { profileBackends, profilePolicy } from './profile-policy.ts';
import { profileOf } from './translate-endpoint.ts';
import { INVALID_POLICY, outboundPolicy, syntheticPolicy } from './translate-outbound.ts';
import type { OutboundTarget } from './types.ts';
import type { WatchedValue } from './watched-value.ts';

export interface OutboundLookupDeps {
  readonly config: ProxyConfig;
  readonly destination: GrpcCaller;
  readonly policy: GrpcCaller;
  readonly clock: Clock;
  readonly log: { warn(message: string, fields?: Record<string, unknown>): void };
  limits(channel: GrpcCaller): ControlStreamLimits;
}

/** What is looked up. */
export interface OutboundSpec {
  /** `ip:port` or `name:port`, as paths of GetProfile are written. */
  readonly path: string;
  /** The target's address; for a name, `ip` is the name. */
  readonly address: SocketAddress;
  readonly traffic: TrafficSpec['target'];
  /** Whether the control plane is asked for a profile at all. */
  readonly isProfileEligible: boolean;
  /** `name`: without profile and policy there is nowhere to go. `gateway`: HTTP follows the profile alone, and a name without profile is none of ours. */
  readonly kind: 'address' | 'name' | 'gateway';
}

/** Opens the watches. Returns what closes them. */
export function openOutboundLookup(spec: OutboundSpec, watched: WatchedValue<OutboundTarget>, deps: OutboundLookupDeps): () => void {
  const lookup = new OutboundLookup(spec, watched, deps);
  lookup.start();
  return () => lookup.close();
}

class OutboundLookup {
  private readonly spec: OutboundSpec;
  private readonly watched: WatchedValue<OutboundTarget>;
  private readonly deps: OutboundLookupDeps;
  private profile: Profile | undefined = undefined;
  private hasProfile: boolean;
  private policy: OutboundPolicy | 'none' | undefined = undefined;
  private profiles: WatchStream | undefined = undefined;
  private policies: WatchStream | undefined = undefined;

  constructor(spec: OutboundSpec, watched: WatchedValue<OutboundTarget>, deps: OutboundLookupDeps) {
    this.spec = spec;
    this.watched = watched;
    this.deps = deps;
    this.hasProfile = !spec.isProfileEligible;
  }

  start(): void {
    if (this.spec.isProfileEligible) this.profiles = this.watchProfile();
    else if (this.spec.kind === 'gateway') {
      this.watched.fail('no profile');
      return;
    }
    this.policies = this.watchPolicy();
  }

  close(): void {
    this.profiles?.close();
    this.policies?.close();
  }

  private watchProfile(): WatchStream {
    const { config, clock, destination, log } = this.deps;
    return new WatchStream({
      channel: destination,
      path: '/io.linkerd.proxy.destination.Destination/GetProfile',
      request: toBinary(
        GetDestinationSchema,
        create(GetDestinationSchema, { path: this.spec.path, contextToken: config.destinationContext }),
      ),
      limits: this.deps.limits(destination),
      backoff: config.outbound.connectBackoff,
      clock,
      onMessage: (message) => {
        try {
          this.profile = profileOf(fromBinary(DestinationProfileSchema, message));
        } catch (error) {
          log.warn('invalid profile', { error: String(error) });
        }
        this.hasProfile = true;
        this.publish();
      },
      shouldRetry: (status, message) => {
        if (status !== GRPC_INVALID_ARGUMENT && status !== GRPC_FAILED_PRECONDITION) return true;
        if (this.spec.kind === 'gateway') {
          this.watched.fail(message);
          return this.watched.current !== undefined;
        }
        this.hasProfile = true;
        this.publish();
        return false;
      },
    });
  }

  private watchPolicy(): WatchStream {
    const { config, clock, policy, log } = this.deps;
    return new WatchStream({
      channel: policy,
      path: '/io.linkerd.proxy.outbound.OutboundPolicies/Watch',
      request: toBinary(TrafficSpecSchema, create(TrafficSpecSchema, { sourceWorkload: config.policyWorkload, target: this.spec.traffic })),
      limits: this.deps.limits(policy),
      backoff: config.outbound.connectBackoff,
      clock,
      onMessage: (message) => {
        try {
          this.policy = outboundPolicy(fromBinary(OutboundPolicySchema, message));
        } catch (error) {
          log.warn('invalid outbound policy', { addr: this.spec.path, error: String(error) });
          this.policy = INVALID_POLICY;
        }
        this.publish();
      },
      shouldRetry: (status, message) => {
        switch (status) {
          case GRPC_INVALID_ARGUMENT:
          case GRPC_FAILED_PRECONDITION:
            // A gateway goes by the profile; the policy is a bonus (§2.5).
            if (this.spec.kind === 'gateway') break;
            this.watched.fail(message);
            return false;
          case GRPC_NOT_FOUND:
          case GRPC_UNIMPLEMENTED:
            break;
          default:
            return true;
        }
        // A policy that was there once stays in force, and is asked for again: a control plane that has just started may not know the
        // Service yet. So is one of an address that might be a Service's and is nothing else that we know: until then it is dialled as it
        // stands, past the mesh. Otherwise the made-up policy serves and no more is asked.
        if (this.policy !== undefined && this.policy !== 'none') return true;
        this.policy = 'none';
        this.publish();
        return status === GRPC_NOT_FOUND && this.spec.isProfileEligible && this.profile?.endpoint === undefined;
      },
    });
  }

  private publish(): void {
    const { spec, profile, policy } = this;
    if (!this.hasProfile || policy === undefined) return;
    const origDst = spec.address;
    const known = policy === 'none' ? undefined : policy;
    const backends = profile === undefined ? undefined : profileBackends(profile, spec.address.port, spec.kind === 'gateway');
    if (profile !== undefined && backends !== undefined) {
      this.watched.set({
        origDst,
        policy: profilePolicy(known, backends),
        profile,
        canonical: `${profile.fullyQualifiedName}:${origDst.port}`,
      });
      return;
    }
    if (spec.kind === 'gateway' && profile?.endpoint === undefined) {
      this.watched.fail('the profile names no service');
      return;
    }
    if (spec.kind === 'name' && known === undefined && profile?.endpoint === undefined) {
      this.watched.fail(`nothing is known of ${spec.path}`);
      return;
    }
    const chosen =
      known !== undefined && spec.kind !== 'gateway'
        ? known
        : syntheticPolicy(origDst, profile, spec.kind === 'gateway' ? 'gateway' : 'endpoint');
    this.watched.set({ origDst, policy: chosen, profile, canonical: undefined });
  }
}
