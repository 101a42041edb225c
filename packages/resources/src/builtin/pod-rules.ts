// SPDX-License-Identifier: Apache-2.0
/*
 * Defaults and checks of a pod spec, alone or as a workload's template: those of an API server that a mesh can notice (ports, probes,
 * service account, restart policy). Images are not required, since a directory of manifests may run processes without images.
 * Source: Kubernetes API reference, core/v1 PodSpec.
 */
import type { FieldError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { isDnsLabel, required } from '../store/metadata-rules.ts';
import { entries, fill, portErrors, portNameErrors, protocolErrors } from './field-rules.ts';

const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe'];

function defaultProbe(probe: JsonObject): void {
  fill(probe, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 });
  const get = probe['httpGet'];
  if (isJsonObject(get)) fill(get, { path: '/', scheme: 'HTTP' });
}

function defaultContainer(container: JsonObject): void {
  for (const port of entries(container['ports'])) fill(port, { protocol: 'TCP' });
  for (const name of PROBES) {
    const probe = container[name];
    if (isJsonObject(probe)) defaultProbe(probe);
  }
  for (const variable of entries(container['env'])) {
    const reference = isJsonObject(variable['valueFrom']) ? variable['valueFrom']['fieldRef'] : undefined;
    if (isJsonObject(reference)) fill(reference, { apiVersion: 'v1' });
  }
}

/** Fills the defaults of a pod spec. */
export function defaultPodSpec(spec: JsonObject): void {
  fill(spec, { restartPolicy: 'Always', dnsPolicy: 'ClusterFirst', terminationGracePeriodSeconds: 30, schedulerName: 'default-scheduler' });
  if (typeof spec['serviceAccountName'] === 'string') fill(spec, { serviceAccount: spec['serviceAccountName'] });
  else if (typeof spec['serviceAccount'] === 'string') fill(spec, { serviceAccountName: spec['serviceAccount'] });
  for (const container of [...entries(spec['containers']), ...entries(spec['initContainers'])]) defaultContainer(container);
}

function containerErrors(path: string, container: JsonObject): FieldError[] {
  const errors: FieldError[] = [];
  const name = container['name'];
  if (typeof name !== 'string' || name === '') errors.push(required(`${path}.name`));
  else if (!isDnsLabel(name)) {
    errors.push({
      path: `${path}.name`,
      reason: 'FieldValueInvalid',
      message: `Invalid value: ${JSON.stringify(name)}: must be an RFC 1123 label`,
    });
  }
  const portNames = new Set<unknown>();
  for (const [index, port] of entries(container['ports']).entries()) {
    const at = `${path}.ports[${index}]`;
    errors.push(...portErrors(`${at}.containerPort`, port['containerPort']), ...protocolErrors(`${at}.protocol`, port['protocol']));
    if (port['name'] === undefined || port['name'] === '') continue;
    errors.push(...portNameErrors(`${at}.name`, port['name']));
    if (portNames.has(port['name'])) {
      errors.push({ path: `${at}.name`, reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(port['name'])}` });
    }
    portNames.add(port['name']);
  }
  return errors;
}

/** What is wrong with the pod spec at `path`. */
export function podSpecErrors(path: string, spec: unknown): readonly FieldError[] {
  if (!isJsonObject(spec)) return [required(path)];
  const errors: FieldError[] = [];
  const containers = entries(spec['containers']);
  if (containers.length === 0) errors.push(required(`${path}.containers`));
  const names = new Set<unknown>();
  for (const field of ['initContainers', 'containers']) {
    for (const [index, container] of entries(spec[field]).entries()) {
      const at = `${path}.${field}[${index}]`;
      errors.push(...containerErrors(at, container));
      if (names.has(container['name'])) {
        errors.push({
          path: `${at}.name`,
          reason: 'FieldValueDuplicate',
          message: `Duplicate value: ${JSON.stringify(container['name'])}`,
        });
      }
      names.add(container['name']);
    }
  }
  return errors;
}
