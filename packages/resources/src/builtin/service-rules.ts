// SPDX-License-Identifier: Apache-2.0
/*
 * Defaults and checks of services and of what lists their addresses. A service gets a cluster IP when the source was given an allocator,
 * and keeps it over edits that leave it out, as on an API server. Source: Kubernetes API reference, core/v1 Service,
 * discovery.k8s.io/v1 EndpointSlice.
 */
import type { FieldError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { isDnsLabel, isDnsSubdomain, labelErrors, required } from '../store/metadata-rules.ts';
import type { ObjectRules } from '../store/resource-type.ts';
import { entries, fill, invalidValue, isIpAddress, portErrors, portNameErrors, protocolErrors } from './field-rules.ts';

/** Endpoints in one slice at most (discovery.k8s.io/v1). */
const MAX_SLICE_ENDPOINTS = 1000;
/** Addresses of one endpoint at most. */
const MAX_ENDPOINT_ADDRESSES = 100;

/** Rules of core/v1 Service; `allocate` gives a new service its cluster IP. */
export function serviceRules(allocate: ((namespace: string, name: string) => string) | undefined): ObjectRules {
  return {
    normalise: (object, old) => {
      const spec = isJsonObject(object['spec']) ? object['spec'] : {};
      object['spec'] = spec;
      fill(spec, { type: 'ClusterIP', sessionAffinity: 'None' });
      for (const port of entries(spec['ports'])) {
        fill(port, { protocol: 'TCP' });
        if (spec['type'] !== 'ExternalName') fill(port, { targetPort: port['port'] });
      }
      if (spec['type'] === 'ExternalName') return;
      fill(spec, { internalTrafficPolicy: 'Cluster' });
      const before = isJsonObject(old?.['spec']) ? old['spec'] : {};
      if (typeof before['clusterIP'] === 'string' && before['clusterIP'] !== '') fill(spec, { clusterIP: before['clusterIP'] });
      const metadata = object['metadata'] as JsonObject;
      if (allocate !== undefined && (spec['clusterIP'] ?? '') === '') {
        spec['clusterIP'] = allocate(String(metadata['namespace']), String(metadata['name']));
      }
      const address = spec['clusterIP'];
      if (typeof address !== 'string' || address === '') return;
      fill(spec, { clusterIPs: [address], ipFamilyPolicy: 'SingleStack' });
      fill(spec, { ipFamilies: [address.includes(':') ? 'IPv6' : 'IPv4'] });
    },
    validate: (object, old) => serviceErrors(object['spec'] as JsonObject, old?.['spec'] as JsonObject | undefined),
  };
}

function serviceErrors(spec: JsonObject, old: JsonObject | undefined): FieldError[] {
  const errors: FieldError[] = [];
  const { type, clusterIP: address, externalName } = spec as { type: unknown; clusterIP: unknown; externalName: unknown };
  if (!['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'].includes(String(type))) {
    errors.push({
      path: 'spec.type',
      reason: 'FieldValueNotSupported',
      message: `Unsupported value: ${JSON.stringify(type)}: supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"`,
    });
  }
  if (type === 'ExternalName') {
    if (typeof externalName !== 'string' || !isDnsSubdomain(externalName.replace(/\.$/, ''))) {
      errors.push(invalidValue('spec.externalName', externalName, 'a lowercase RFC 1123 subdomain is required'));
    }
    return errors;
  }
  if (address !== undefined && address !== '' && address !== 'None' && !isIpAddress(address)) {
    errors.push(invalidValue('spec.clusterIPs[0]', address, 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'));
  }
  if (typeof old?.['clusterIP'] === 'string' && old['clusterIP'] !== '' && old['type'] !== 'ExternalName' && address !== old['clusterIP']) {
    errors.push(invalidValue('spec.clusterIPs[0]', address, 'may not change once set'));
  }
  errors.push(...labelErrors('spec.selector', spec['selector']), ...servicePortErrors(entries(spec['ports']), address === 'None'));
  return errors;
}

function servicePortErrors(ports: readonly JsonObject[], isHeadless: boolean): FieldError[] {
  const errors: FieldError[] = [];
  if (ports.length === 0 && !isHeadless) errors.push(required('spec.ports'));
  const names = new Set<unknown>();
  const numbers = new Set<string>();
  for (const [index, port] of ports.entries()) {
    const at = `spec.ports[${index}]`;
    const { name, targetPort } = port as { name: unknown; targetPort: unknown };
    if (name === undefined || name === '') {
      if (ports.length > 1) errors.push(required(`${at}.name`));
    } else if (typeof name !== 'string' || !isDnsLabel(name)) errors.push(invalidValue(`${at}.name`, name, 'must be an RFC 1123 label'));
    else if (names.has(name)) {
      errors.push({ path: `${at}.name`, reason: 'FieldValueDuplicate', message: `Duplicate value: ${JSON.stringify(name)}` });
    }
    names.add(name);
    errors.push(...portErrors(`${at}.port`, port['port']), ...protocolErrors(`${at}.protocol`, port['protocol']));
    const key = `${String(port['protocol'])}/${String(port['port'])}`;
    if (numbers.has(key)) {
      errors.push({
        path: at,
        reason: 'FieldValueDuplicate',
        message: `Duplicate value: ${JSON.stringify({ protocol: port['protocol'], port: port['port'] })}`,
      });
    }
    numbers.add(key);
    if (typeof targetPort === 'string') errors.push(...portNameErrors(`${at}.targetPort`, targetPort));
    else errors.push(...portErrors(`${at}.targetPort`, targetPort));
  }
  return errors;
}

/** Rules of discovery.k8s.io/v1 EndpointSlice. */
export const endpointSliceRules: ObjectRules = {
  normalise: (object) => {
    object['endpoints'] ??= [];
    for (const port of entries(object['ports'])) fill(port, { name: '', protocol: 'TCP' });
  },
  validate: (object, old) => {
    const errors: FieldError[] = [];
    const family = object['addressType'];
    if (family === undefined) errors.push(required('addressType'));
    else if (family !== 'IPv4' && family !== 'IPv6' && family !== 'FQDN') {
      errors.push({
        path: 'addressType',
        reason: 'FieldValueNotSupported',
        message: `Unsupported value: ${JSON.stringify(family)}: supported values: "FQDN", "IPv4", "IPv6"`,
      });
    } else if (old !== undefined && old['addressType'] !== family) errors.push(invalidValue('addressType', family, 'field is immutable'));
    const endpoints = entries(object['endpoints']);
    if (endpoints.length > MAX_SLICE_ENDPOINTS) {
      errors.push({
        path: 'endpoints',
        reason: 'FieldValueTooMany',
        message: `Too many: ${endpoints.length}: must have at most ${MAX_SLICE_ENDPOINTS} items`,
      });
    }
    for (const [index, endpoint] of endpoints.entries()) errors.push(...endpointErrors(`endpoints[${index}]`, endpoint, family));
    for (const [index, port] of entries(object['ports']).entries()) {
      if (port['port'] !== undefined && port['port'] !== null) errors.push(...portErrors(`ports[${index}].port`, port['port']));
      errors.push(...protocolErrors(`ports[${index}].protocol`, port['protocol']));
    }
    return errors;
  },
};

function endpointErrors(path: string, endpoint: JsonObject, family: unknown): FieldError[] {
  const addresses = Array.isArray(endpoint['addresses']) ? (endpoint['addresses'] as unknown[]) : [];
  if (addresses.length === 0) return [required(`${path}.addresses`, 'must contain at least 1 address')];
  if (addresses.length > MAX_ENDPOINT_ADDRESSES) {
    const text = `Too many: ${addresses.length}: must have at most ${MAX_ENDPOINT_ADDRESSES} items`;
    return [{ path: `${path}.addresses`, reason: 'FieldValueTooMany', message: text }];
  }
  const errors: FieldError[] = [];
  for (const [index, address] of addresses.entries()) {
    const at = `${path}.addresses[${index}]`;
    if (family === 'FQDN' ? typeof address !== 'string' || !isDnsSubdomain(address) : !isIpAddress(address)) {
      errors.push(invalidValue(at, address, family === 'FQDN' ? 'must be a domain name' : 'must be a valid IP address'));
    } else if (family !== 'FQDN' && (address as string).includes(':') !== (family === 'IPv6')) {
      errors.push(invalidValue(at, address, `must be an ${String(family)} address`));
    }
  }
  return errors;
}
