// SPDX-License-Identifier: Apache-2.0
/*
 * Profiles of single addresses (control-contract §1.8, endpoint profile): the pod or external workload behind an IP and port, or the bare
 * address. Each is computed anew when something at its address changes, and sent when the message differs. The reference matches pod events by
 * declared ports only; here every port follows its pod, so that a reused address never keeps its predecessor's identity.
 */
import { create } from '@bufbuild/protobuf';
import { destination } from '@weft/proto';
import type { Logger } from '@weft/telemetry';

import type { IpAddress } from '../ip-address.ts';
import type { DestinationMetrics } from '../metrics.ts';
import type { ExternalWorkloadRecord } from '../records/external-workload-record.ts';
import type { PodRecord } from '../records/pod-record.ts';
import {
  bareAddr,
  externalWorkloadAddr,
  isPodPortOpaque,
  isWorkloadPortOpaque,
  podAddr,
  type EndpointPlace,
  type TranslationContext,
} from '../weighted-addr.ts';
import { ownerOfPod, ownerOfWorkload } from '../workload-owner.ts';
import type { World } from '../world.ts';
import { LatestProfile, type ProfileSubscriber } from './latest-message.ts';
import { defaultRetryBudget } from './service-profile-message.ts';

/** What is behind an address; several candidates are a conflict. */
type Behind =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'pods'; readonly candidates: readonly PodRecord[] }
  | { readonly kind: 'external-workloads'; readonly candidates: readonly ExternalWorkloadRecord[] };

interface AddressQuestion {
  readonly ip: IpAddress;
  readonly port: number;
  readonly answer: LatestProfile;
  /** Owner object that was looked up in vain, as `table:key`. */
  missingOwner: string | undefined;
}

/** Publishers of endpoint profiles. */
export class EndpointProfileIndex {
  private readonly world: World;
  private readonly context: TranslationContext;
  private readonly log: Logger;
  private readonly metrics: DestinationMetrics;
  private readonly byIp = new Map<string, Map<number, AddressQuestion>>();

  constructor(world: World, context: TranslationContext, log: Logger, metrics: DestinationMetrics) {
    this.world = world;
    this.context = context;
    this.log = log;
    this.metrics = metrics;
    world.pods.onChange(({ before, after }) => {
      this.refreshIps([before, after].flatMap((pod) => (pod === undefined ? [] : [...pod.podIps, ...pod.hostIps])));
    });
    world.externalWorkloads.onChange(({ before, after }) => this.refreshIps([...(before?.ips ?? []), ...(after?.ips ?? [])]));
    world.servers.onChange(({ before, after }) => {
      if (before?.isOpaque === true || after?.isOpaque === true) this.refreshIps([...this.byIp.keys()]);
    });
    world.replicaSets.onChange(({ key }) => this.refreshOwners(`replicaSets:${key}`));
    world.jobs.onChange(({ key }) => this.refreshOwners(`jobs:${key}`));
  }

  /** The names of workloads that claim the same address and port; empty unless there are several. */
  conflicts(ip: IpAddress, port: number): readonly string[] {
    const behind = this.behind(ip, port);
    return behind.kind === 'nothing' || behind.candidates.length < 2 ? [] : behind.candidates.map(({ key }) => key).sort();
  }

  /** Subscribes to the profile of an address. Returns the end of the subscription. */
  subscribe(ip: IpAddress, port: number, subscriber: ProfileSubscriber): () => void {
    let ports = this.byIp.get(ip.key);
    if (ports === undefined) {
      ports = new Map();
      this.byIp.set(ip.key, ports);
    }
    let question = ports.get(port);
    if (question === undefined) {
      question = { ip, port, answer: new LatestProfile(this.metrics.workload(ip.key, port)), missingOwner: undefined };
      ports.set(port, question);
      this.evaluate(question);
    }
    const { answer } = question;
    const unsubscribe = answer.subscribe(subscriber);
    return () => {
      unsubscribe();
      if (answer.hasSubscribers || this.byIp.get(ip.key)?.get(port) !== question) return;
      ports.delete(port);
      if (ports.size === 0) this.byIp.delete(ip.key);
    };
  }

  private refreshIps(ips: readonly string[]): void {
    for (const ip of new Set(ips)) for (const question of this.byIp.get(ip)?.values() ?? []) this.evaluate(question);
  }

  private refreshOwners(name: string): void {
    for (const ports of this.byIp.values()) {
      for (const question of ports.values()) if (question.missingOwner === name) this.evaluate(question);
    }
  }

  private behind(ip: IpAddress, port: number): Behind {
    const podNetwork = this.world.podsWithIp(ip.key).filter(({ isLive }) => isLive);
    if (podNetwork.length > 0) return { kind: 'pods', candidates: podNetwork };
    const host = this.world.podsWithHostPort(ip.key, port).filter(({ isLive }) => isLive);
    if (host.length > 0) return { kind: 'pods', candidates: host };
    const workloads = this.world.workloadsWithPort(ip.key, port);
    return workloads.length > 0 ? { kind: 'external-workloads', candidates: workloads } : { kind: 'nothing' };
  }

  private evaluate(question: AddressQuestion): void {
    const { ip, port, answer } = question;
    question.missingOwner = undefined;
    const behind = this.behind(ip, port);
    switch (behind.kind) {
      case 'pods': {
        const pod = newest(behind.candidates);
        answer.set(pod?.isRunning === true ? this.podProfile(question, pod) : this.bareProfile(question));
        return;
      }
      case 'external-workloads': {
        const [workload] = behind.candidates;
        answer.set(workload === undefined ? this.bareProfile(question) : this.workloadProfile(question, workload));
        return;
      }
      case 'nothing':
        answer.set(this.bareProfile(question));
    }
  }

  private podProfile(question: AddressQuestion, pod: PodRecord): destination.DestinationProfile {
    const { ip, port } = question;
    const owner = ownerOfPod(this.world, pod);
    if (owner.missing !== undefined) question.missingOwner = `${owner.missing.table}:${owner.missing.key}`;
    const hasOpaqueServer = this.world.hasOpaqueServerForPod(pod, port);
    const place: EndpointPlace = { ip, port, labels: { namespace: pod.namespace, zone: '' } };
    const endpoint = podAddr(this.context, place, pod, owner, hasOpaqueServer);
    if (endpoint === undefined) {
      this.log.warn('meshed pod without proxy ports is offered as a bare address', { pod: pod.key });
      return this.bareProfile(question);
    }
    return toProfile(endpoint, hasOpaqueServer || isPodPortOpaque(this.context, pod, port));
  }

  private workloadProfile({ ip, port }: AddressQuestion, workload: ExternalWorkloadRecord): destination.DestinationProfile {
    const hasOpaqueServer = this.world.hasOpaqueServerForWorkload(workload, port);
    const place: EndpointPlace = { ip, port, labels: { namespace: workload.namespace, zone: '' } };
    const endpoint = externalWorkloadAddr(this.context, place, workload, ownerOfWorkload(workload.owners), hasOpaqueServer);
    return toProfile(endpoint, hasOpaqueServer || isWorkloadPortOpaque(this.context, workload, port));
  }

  private bareProfile({ ip, port }: AddressQuestion): destination.DestinationProfile {
    return toProfile(bareAddr({ ip, port, labels: {} }), this.context.defaultOpaquePorts.has(port));
  }
}

function toProfile(endpoint: destination.WeightedAddr, isOpaque: boolean): destination.DestinationProfile {
  return create(destination.DestinationProfileSchema, { retryBudget: defaultRetryBudget(), endpoint, opaqueProtocol: isOpaque });
}

/** Where an address was given to a new pod before the old one's end was heard of, the new one has it. */
function newest(pods: readonly PodRecord[]): PodRecord | undefined {
  return pods.reduce<PodRecord | undefined>(
    (latest, pod) => (latest === undefined || pod.createdAt > latest.createdAt ? pod : latest),
    undefined,
  );
}
