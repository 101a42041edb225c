// SPDX-License-Identifier: Apache-2.0
/*
 * The environment of a container (core/v1 EnvVar): values with `$(NAME)` expanded from earlier ones, and those taken from the pod itself,
 * from ConfigMaps and from Secrets. A reference that leads nowhere is an error, as a kubelet would not start the container either.
 */
import { Buffer } from 'node:buffer';
import type { ConfigMap, Container, EnvVar, Pod, Secret } from '@weft/resources';

/** What references are looked up in. */
export interface EnvironmentSources {
  configMap(namespace: string, name: string): ConfigMap | undefined;
  secret(namespace: string, name: string): Secret | undefined;
}

interface KeyReference {
  readonly name?: string;
  readonly key?: string;
  readonly optional?: boolean;
}

/** `$(NAME)` becomes the value, `$$(NAME)` the text `$(NAME)`; unknown names stay. */
export function expand(text: string, values: ReadonlyMap<string, string>): string {
  return text.replaceAll(/\$(\$)?\(([^)]+)\)/g, (whole: string, escaped: string | undefined, name: string) =>
    escaped === undefined ? (values.get(name) ?? whole) : `$(${name})`,
  );
}

/** `env`, over what `envFrom` brings. Throws Error naming the variable that cannot be resolved. */
export function resolveEnvironment(
  container: Pick<Container, 'env'> & { readonly envFrom?: unknown },
  pod: Pod,
  sources: EnvironmentSources,
): Map<string, string> {
  const values = new Map<string, string>();
  for (const source of (container.envFrom as readonly EnvFrom[] | undefined) ?? []) addAll(values, source, pod, sources);
  for (const variable of container.env ?? []) {
    if (variable.valueFrom === undefined || variable.valueFrom === null) values.set(variable.name, expand(variable.value ?? '', values));
    else {
      const value = referenced(variable, pod, sources);
      if (value !== undefined) values.set(variable.name, value);
    }
  }
  return values;
}

interface EnvFrom {
  readonly prefix?: string;
  readonly configMapRef?: KeyReference;
  readonly secretRef?: KeyReference;
}

function addAll(
  values: Map<string, string>,
  { prefix = '', configMapRef, secretRef }: EnvFrom,
  pod: Pod,
  sources: EnvironmentSources,
): void {
  const { namespace } = pod.metadata;
  const { name = '', optional = false } = configMapRef ?? secretRef ?? {};
  const data = configMapRef === undefined ? sources.secret(namespace, name)?.data : sources.configMap(namespace, name)?.data;
  if (data === undefined && !optional) throw new Error(`envFrom: there is no ${name}`);
  for (const [key, value] of Object.entries(data ?? {})) {
    values.set(`${prefix}${key}`, configMapRef === undefined ? (decode(value) ?? '') : value);
  }
}

function referenced({ name, valueFrom }: EnvVar, pod: Pod, sources: EnvironmentSources): string | undefined {
  const { fieldRef, configMapKeyRef, secretKeyRef } = valueFrom as {
    readonly fieldRef?: { readonly fieldPath?: string };
    readonly configMapKeyRef?: KeyReference;
    readonly secretKeyRef?: KeyReference;
  };
  if (fieldRef !== undefined) return podField(fieldRef.fieldPath ?? '', pod, name);
  const reference = configMapKeyRef ?? secretKeyRef;
  if (reference === undefined) throw new Error(`variable ${name}: this kind of reference is not supported on a host`);
  const { namespace } = pod.metadata;
  const { name: object = '', key = '', optional = false } = reference;
  const found =
    configMapKeyRef === undefined
      ? decode(sources.secret(namespace, object)?.data?.[key])
      : sources.configMap(namespace, object)?.data?.[key];
  if (found === undefined && !optional) throw new Error(`variable ${name}: ${object} has no key ${key}`);
  return found;
}

function podField(path: string, pod: Pod, variable: string): string {
  const { metadata, spec, status } = pod;
  const selected = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path);
  if (selected !== null) return metadata[selected[1] as 'labels' | 'annotations'][selected[2] as string] ?? '';
  switch (path) {
    case 'metadata.name':
      return metadata.name;
    case 'metadata.namespace':
      return metadata.namespace;
    case 'metadata.uid':
      return metadata.uid;
    case 'spec.nodeName':
      return spec?.nodeName ?? '';
    case 'spec.serviceAccountName':
      return spec?.serviceAccountName ?? 'default';
    case 'status.podIP':
      return status?.podIP ?? '';
    case 'status.podIPs':
      return (status?.podIPs ?? []).map(({ ip }) => ip).join(',');
    case 'status.hostIP':
      return status?.hostIP ?? '';
    default:
      throw new Error(`variable ${variable}: the field ${path} is not supported`);
  }
}

function decode(base64: string | undefined): string | undefined {
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64').toString('utf8');
}
