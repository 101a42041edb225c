// SPDX-License-Identifier: Apache-2.0
/*
 * The built-in kinds as a store knows them: which have a status subresource, which count generations, how their objects are named, and
 * the defaults and checks that matter to a mesh. Everything else in such an object is kept as written, without a schema.
 * Source: Kubernetes API reference.
 */
import { Buffer } from 'node:buffer';

import type { FieldError } from '../errors.ts';
import { equalJson, isJsonObject } from '../json-values.ts';
import type { LabelSelector } from '../kinds/meta.ts';
import type { JsonObject } from '../json-values.ts';
import { builtInKinds } from '../kinds/registry.ts';
import { matchesLabelSelector } from '../selectors.ts';
import { labelErrors, labelSelectorErrors, required } from '../store/metadata-rules.ts';
import type { NameStyle } from '../store/metadata-rules.ts';
import { openRules } from '../store/resource-type.ts';
import type { ObjectRules, ResourceType } from '../store/resource-type.ts';
import { fill, invalidValue } from './field-rules.ts';
import { defaultPodSpec, podSpecErrors } from './pod-rules.ts';
import { endpointSliceRules, serviceRules } from './service-rules.ts';

/** What built-in kinds need from outside. */
export interface BuiltInOptions {
  /** Without it, services keep the cluster IP that they are written with, or none. */
  readonly allocateClusterIp?: (namespace: string, name: string) => string;
}

interface Traits {
  readonly rules?: ObjectRules;
  readonly initialStatus?: JsonObject;
  readonly hasStatus?: boolean;
  readonly hasGeneration?: boolean;
  readonly nameStyle?: NameStyle;
}

function specOf(object: JsonObject): JsonObject {
  const spec = object['spec'];
  if (isJsonObject(spec)) return spec;
  return (object['spec'] = {});
}

const namespaceRules: ObjectRules = {
  normalise: (object) => {
    const metadata = object['metadata'] as JsonObject;
    (metadata['labels'] as JsonObject)['kubernetes.io/metadata.name'] = metadata['name'];
    fill(specOf(object), { finalizers: ['kubernetes'] });
  },
  validate: () => [],
};

const podRules: ObjectRules = {
  normalise: (object) => {
    const spec = specOf(object);
    defaultPodSpec(spec);
    fill(spec, { serviceAccountName: 'default' });
    fill(spec, { serviceAccount: spec['serviceAccountName'] });
  },
  validate: (object) => podSpecErrors('spec', object['spec']),
};

const secretRules: ObjectRules = {
  normalise: (object) => {
    fill(object, { type: 'Opaque' });
    const plain = object['stringData'];
    if (!isJsonObject(plain)) return;
    const data = isJsonObject(object['data']) ? object['data'] : {};
    for (const [key, value] of Object.entries(plain)) data[key] = Buffer.from(String(value)).toString('base64');
    object['data'] = data;
    delete object['stringData'];
  },
  validate: () => [],
};

/** Rules of a kind with a pod template and a selector that must select it. */
function workloadRules(defaults: JsonObject): ObjectRules {
  return {
    normalise: (object) => {
      const spec = specOf(object);
      fill(spec, defaults);
      const template = spec['template'];
      if (isJsonObject(template) && isJsonObject(template['spec'])) defaultPodSpec(template['spec']);
    },
    validate: (object, old) => {
      const spec = specOf(object);
      const template = isJsonObject(spec['template']) ? spec['template'] : {};
      const selector = spec['selector'];
      const labels = (isJsonObject(template['metadata']) ? template['metadata']['labels'] : undefined) ?? {};
      const errors: FieldError[] = [...labelErrors('spec.template.labels', labels), ...labelSelectorErrors('spec.selector', selector)];
      if (errors.length === 0 && !matchesLabelSelector(labels as Record<string, string>, selector as LabelSelector)) {
        errors.push(invalidValue('spec.template.metadata.labels', labels, '`selector` does not match template `labels`'));
      }
      if (old !== undefined && !equalJson(specOf(old)['selector'], selector)) {
        errors.push(invalidValue('spec.selector', selector, 'field is immutable'));
      }
      const replicas = spec['replicas'];
      if (replicas !== undefined && (!Number.isInteger(replicas) || Number(replicas) < 0)) {
        errors.push(invalidValue('spec.replicas', replicas, 'must be greater than or equal to 0'));
      }
      errors.push(...podSpecErrors('spec.template.spec', template['spec']));
      return errors;
    },
  };
}

const jobRules: ObjectRules = {
  normalise: (object) => {
    const spec = specOf(object);
    fill(spec, { parallelism: 1, completions: 1, backoffLimit: 6, completionMode: 'NonIndexed', suspend: false });
    const template = spec['template'];
    if (isJsonObject(template) && isJsonObject(template['spec'])) defaultPodSpec(template['spec']);
  },
  validate: (object) => {
    const template = specOf(object)['template'];
    return podSpecErrors('spec.template.spec', isJsonObject(template) ? template['spec'] : undefined);
  },
};

const cronJobRules: ObjectRules = {
  normalise: (object) =>
    fill(specOf(object), { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 }),
  validate: (object) => (typeof specOf(object)['schedule'] === 'string' ? [] : [required('spec.schedule')]),
};

function traitsOf(options: BuiltInOptions): Readonly<Record<string, Traits>> {
  return {
    Namespace: { rules: namespaceRules, hasStatus: true, initialStatus: { phase: 'Active' }, nameStyle: 'label' },
    Pod: { rules: podRules, hasStatus: true, initialStatus: { phase: 'Pending' }, hasGeneration: true },
    Service: {
      rules: serviceRules(options.allocateClusterIp),
      hasStatus: true,
      initialStatus: { loadBalancer: {} },
      nameStyle: 'label-1035',
    },
    Node: { hasStatus: true },
    Secret: { rules: secretRules },
    Deployment: {
      rules: workloadRules({ replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 }),
      hasStatus: true,
      hasGeneration: true,
    },
    ReplicaSet: { rules: workloadRules({ replicas: 1 }), hasStatus: true, hasGeneration: true },
    StatefulSet: {
      rules: workloadRules({ replicas: 1, podManagementPolicy: 'OrderedReady', revisionHistoryLimit: 10 }),
      hasStatus: true,
      hasGeneration: true,
    },
    DaemonSet: { rules: workloadRules({ revisionHistoryLimit: 10 }), hasStatus: true, hasGeneration: true },
    Job: { rules: jobRules, hasStatus: true, hasGeneration: true },
    CronJob: { rules: cronJobRules, hasStatus: true, hasGeneration: true },
    EndpointSlice: { rules: endpointSliceRules, hasGeneration: true },
  };
}

/** The built-in types. */
export function builtInTypes(options: BuiltInOptions = {}): readonly ResourceType[] {
  const traits = traitsOf(options);
  return builtInKinds.map(({ group, version, kind, plural, isNamespaced }) => {
    const { rules = openRules, hasStatus = false, initialStatus, hasGeneration = false, nameStyle = 'subdomain' } = traits[kind] ?? {};
    const typeVersion = { name: version, hasStatus, rules, ...(initialStatus === undefined ? {} : { initialStatus }) };
    return {
      group,
      kind,
      plural,
      isNamespaced,
      nameStyle,
      storageVersion: version,
      versions: new Map([[version, typeVersion]]),
      needsVersion: kind === 'Lease',
      hasGeneration,
    };
  });
}
