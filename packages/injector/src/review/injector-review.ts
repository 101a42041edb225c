// SPDX-License-Identifier: Apache-2.0
/*
 * The injector as a webhook (control-contract §4.1, §4.2; features INJ-01, INJ-05, INJ-20): for each pod and service, the installation as it is
 * on disk, the namespace, the owner, the patch; then events on the owner, metrics, and a log line. What the injector itself cannot do,
 * reading its values for one, refuses the object with the reason, as in the reference.
 */
import {
  createStore,
  isResourceError,
  metadataOnly,
  NamespaceKind,
  type Resource,
  type ResourceSource,
  type ResourceStore,
} from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import type { AdmissionAnswer, AdmissionRequest, Review } from '@weft/webhook';
import { SKIP_REASON_TEXT } from '../decision.ts';
import { injectPod, type Injection, type NamespaceFacts } from '../inject-pod.ts';
import { injectService } from '../inject-service.ts';
import { objectOf, textMap, type JsonObject } from '../json-object.ts';
import type { InjectionReport } from '../injection-report.ts';
import type { InstallationTexts } from './installation-files.ts';
import type { InjectorMetrics } from './injector-metrics.ts';
import { OwnerLookup, type Owner } from './owners.ts';

/** Records events, as the identity service's recorder does; never waited for. */
export interface OwnerEvents {
  record(
    subject: {
      readonly apiVersion: string;
      readonly kind: string;
      readonly namespace: string;
      readonly name: string;
      readonly uid?: string;
    },
    type: 'Normal' | 'Warning',
    reason: string,
    message: string,
  ): void;
}

export interface InjectorReviewOptions {
  readonly source: ResourceSource;
  readonly installation: () => Promise<InstallationTexts>;
  readonly controlPlaneNamespace: string;
  readonly events: OwnerEvents;
  readonly metrics: InjectorMetrics;
  readonly logger: Logger;
}

/** A running injector. */
export interface InjectorReview {
  readonly review: Review;
  /** Whether the namespaces are known. */
  readonly isSynced: boolean;
  close(): void;
}

/** Event reasons. */
export const EVENT_INJECTED = 'Injected';
export const EVENT_SKIPPED = 'InjectionSkipped';
/** Ours: an annotation was not honoured, and the pod meshed without it. */
export const EVENT_ANNOTATION_IGNORED = 'InjectionAnnotationIgnored';

/** Starts watching namespaces. */
export function createInjectorReview(options: InjectorReviewOptions): InjectorReview {
  const namespaces = createStore(options.source, metadataOnly(NamespaceKind));
  const owners = new OwnerLookup(options.source, options.logger);
  return {
    review: (request) => reviewObject(request, options, namespaces, owners),
    get isSynced() {
      return namespaces.isSynced;
    },
    close: () => namespaces.close(),
  };
}

type Namespaces = Pick<ResourceStore<Resource>, 'get'>;

async function reviewObject(
  request: AdmissionRequest,
  options: InjectorReviewOptions,
  namespaces: Namespaces,
  owners: OwnerLookup,
): Promise<AdmissionAnswer> {
  const { kind, namespace: namespaceName = '' } = request;
  const isPod = kind.kind === 'Pod';
  if (kind.group !== '' || (!isPod && kind.kind !== 'Service') || request.operation !== 'CREATE') return { allowed: true };
  const object = objectOf(request.object);
  const [{ values, trustAnchors }, namespace, owner] = await Promise.all([
    options.installation(),
    namespaceFacts(namespaceName, options, namespaces),
    isPod ? owners.ownerOf(object, namespaceName) : undefined,
  ]);
  const { controlPlaneNamespace } = options;
  // Controller and chart are released together, so the installation's version is the injector's.
  const version = values.linkerdVersion;
  const injection: Injection = isPod
    ? injectPod({ pod: object, namespace, owner, values, trustAnchors, version, controlPlaneNamespace })
    : injectService({ service: object, namespace, values });
  report(injection.report, { request, object, namespace, owner }, options);
  const { problems } = injection.report;
  return {
    allowed: true,
    ...(injection.patch.length === 0 ? {} : { patch: injection.patch }),
    ...(problems.length === 0
      ? {}
      : { warnings: problems.map(({ annotation, problem }) => `annotation ${annotation} ${problem}; it is ignored`) }),
  };
}

/** From the watch, or from the API server where the watch is behind: pods follow their namespace within milliseconds. */
async function namespaceFacts(name: string, { source }: InjectorReviewOptions, namespaces: Namespaces): Promise<NamespaceFacts> {
  const known = namespaces.get('', name);
  if (known !== undefined) return { name, annotations: known.metadata.annotations };
  try {
    return { name, annotations: (await source.get(metadataOnly(NamespaceKind), '', name)).metadata.annotations };
  } catch (error) {
    if (isResourceError(error, 'ERR_NOT_FOUND')) return { name, annotations: {} };
    throw new Error(`cannot read namespace ${name}: ${(error as Error).message}`, { cause: error });
  }
}

interface Subject {
  readonly request: AdmissionRequest;
  readonly object: JsonObject;
  readonly namespace: NamespaceFacts;
  readonly owner: Owner | undefined;
}

function report(outcome: InjectionReport, { request, object, namespace, owner }: Subject, options: InjectorReviewOptions): void {
  const { events, metrics, logger } = options;
  const ownerKind = owner?.kind.toLowerCase() ?? '';
  const annotations = new Map([...textMap(namespace.annotations), ...textMap(objectOf(object['metadata'])['annotations'])]);
  metrics.request(ownerKind, namespace.name, outcome, annotations);
  metrics.response(ownerKind, namespace.name, outcome, annotations);
  const reasons = outcome.skipReasons.map((reason) => SKIP_REASON_TEXT[reason]).join(', ');
  for (const { annotation, problem } of outcome.problems) {
    logger.warn('Annotation ignored', { namespace: namespace.name, kind: outcome.kind, name: outcome.name, annotation, problem });
  }
  logger.debug('Reviewed', {
    namespace: namespace.name,
    kind: outcome.kind,
    name: outcome.name,
    owner: owner === undefined ? '' : `${ownerKind}/${owner.name}`,
    injected: outcome.isInjected,
    skip_reasons: outcome.skipReasons.join(','),
  });
  // A dry run must leave nothing behind: the webhook is registered as one without side effects.
  if (owner === undefined || request.dryRun) return;
  const subject = { ...owner, namespace: namespace.name };
  if (outcome.isInjected) events.record(subject, 'Normal', EVENT_INJECTED, 'Linkerd sidecar proxy injected');
  else events.record(subject, 'Normal', EVENT_SKIPPED, `Linkerd sidecar proxy injection skipped: ${reasons}`);
  if (outcome.problems.length > 0) {
    const texts = outcome.problems.map(({ annotation, problem }) => `${annotation} ${problem}`);
    events.record(subject, 'Warning', EVENT_ANNOTATION_IGNORED, `Ignored: ${texts.join('; ')}`.slice(0, MAX_EVENT_MESSAGE_LENGTH));
  }
}

/** API servers refuse longer messages. */
const MAX_EVENT_MESSAGE_LENGTH = 1024;
