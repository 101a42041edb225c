// SPDX-License-Identifier: Apache-2.0
/*
 * Profiles of service ports (control-contract §1.8): the ServiceProfile of the client's namespace, else that of the service's, else the implicit
 * one; and the Service's opaque ports on top. One publisher per question, while someone asks it.
 */
import type { Logger } from '@weft/telemetry';

import type { DestinationMetrics } from '../metrics.ts';
import { keyOf } from '../records/record.ts';
import type { ServiceRecord } from '../records/service-record.ts';
import type { TranslationContext } from '../weighted-addr.ts';
import type { World } from '../world.ts';
import { LatestProfile, type ProfileSubscriber } from './latest-message.ts';
import { serviceProfileMessage, type ProfileSubject } from './service-profile-message.ts';

/** One question: a service port, as seen from a namespace ('' when the client did not say). */
interface ProfileQuestion {
  readonly subject: ProfileSubject;
  readonly serviceKey: string;
  /** Keys of the ServiceProfiles that may answer, best first. */
  readonly profileKeys: readonly string[];
  readonly answer: LatestProfile;
}

/** Publishers of service profiles. */
export class ServiceProfileIndex {
  private readonly world: World;
  private readonly context: TranslationContext;
  private readonly log: Logger;
  private readonly metrics: DestinationMetrics;
  private readonly questions = new Map<string, ProfileQuestion>();
  private readonly byService = new Map<string, Set<ProfileQuestion>>();
  private readonly byProfile = new Map<string, Set<ProfileQuestion>>();

  constructor(world: World, context: TranslationContext, log: Logger, metrics: DestinationMetrics) {
    this.world = world;
    this.context = context;
    this.log = log;
    this.metrics = metrics;
    world.services.onChange(({ key }) => this.refresh(this.byService.get(key)));
    world.profiles.onChange(({ key }) => this.refresh(this.byProfile.get(key)));
  }

  /** Subscribes to the profile of a service port. Returns the end of the subscription. */
  subscribe(
    service: ServiceRecord,
    port: number,
    fullyQualifiedName: string,
    clientNamespace: string,
    subscriber: ProfileSubscriber,
  ): () => void {
    const key = [service.key, port, clientNamespace, fullyQualifiedName].join('|');
    let question = this.questions.get(key);
    if (question === undefined) {
      question = this.ask(service, port, fullyQualifiedName, clientNamespace);
      this.questions.set(key, question);
    }
    const { answer } = question;
    const unsubscribe = answer.subscribe(subscriber);
    return () => {
      unsubscribe();
      if (answer.hasSubscribers || this.questions.get(key) !== question) return;
      this.questions.delete(key);
      leave(this.byService, question.serviceKey, question);
      for (const profile of question.profileKeys) leave(this.byProfile, profile, question);
    };
  }

  private ask(service: ServiceRecord, port: number, fullyQualifiedName: string, clientNamespace: string): ProfileQuestion {
    const { name, namespace, key } = service;
    const profileName = `${name}.${namespace}.svc.${this.context.options.clusterDomain}`;
    const namespaces = clientNamespace === '' || clientNamespace === namespace ? [namespace] : [clientNamespace, namespace];
    const question: ProfileQuestion = {
      subject: { fullyQualifiedName, service: name, namespace, port },
      serviceKey: key,
      profileKeys: namespaces.map((candidate) => keyOf(candidate, profileName)),
      answer: new LatestProfile(this.metrics.profile(namespaces[0] ?? namespace, profileName)),
    };
    join(this.byService, key, question);
    for (const profile of question.profileKeys) join(this.byProfile, profile, question);
    this.evaluate(question);
    return question;
  }

  private refresh(questions: ReadonlySet<ProfileQuestion> | undefined): void {
    for (const question of questions ?? []) this.evaluate(question);
  }

  private evaluate({ subject, serviceKey, profileKeys, answer }: ProfileQuestion): void {
    const profile = profileKeys.map((key) => this.world.profiles.get(key)).find((candidate) => candidate !== undefined);
    const opaquePorts = this.world.services.get(serviceKey)?.opaquePorts ?? this.context.defaultOpaquePorts;
    const message = serviceProfileMessage(subject, profile, opaquePorts.has(subject.port));
    if ('invalid' in message) this.log.warn('service profile is not used', { profile: profile?.key ?? '', reason: message.invalid });
    else answer.set(message);
  }
}

function join<Member>(sets: Map<string, Set<Member>>, key: string, member: Member): void {
  const set = sets.get(key);
  if (set === undefined) sets.set(key, new Set([member]));
  else set.add(member);
}

function leave<Member>(sets: Map<string, Set<Member>>, key: string, member: Member): void {
  const set = sets.get(key);
  set?.delete(member);
  if (set?.size === 0) sets.delete(key);
}
