// SPDX-License-Identifier: Apache-2.0
/*
 * A ServiceProfile as `weft profile` makes it (features CLI-29): named after its service, with routes whose paths are regular expressions. What
 * comes from a file is quoted, so that only the parameters of a path template match anything.
 */
import type { ProfileRoute } from '@weft/resources';

/** Whose profile it is. */
export interface ProfileService {
  readonly name: string;
  readonly namespace: string;
  /** `cluster.local`. */
  readonly clusterDomain: string;
}

/** The object, as it is applied. */
export interface GeneratedProfile {
  readonly apiVersion: 'linkerd.io/v1alpha2';
  readonly kind: 'ServiceProfile';
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly routes: readonly ProfileRoute[] };
}

/** The authority by which clients and proxies know the service; it is the profile's name. */
export function profileName({ name, namespace, clusterDomain }: ProfileService): string {
  return `${name}.${namespace}.svc.${clusterDomain}`;
}

/** A profile of these routes. */
export function serviceProfile(service: ProfileService, routes: readonly ProfileRoute[]): GeneratedProfile {
  return {
    apiVersion: 'linkerd.io/v1alpha2',
    kind: 'ServiceProfile',
    metadata: { name: profileName(service), namespace: service.namespace },
    spec: { routes },
  };
}

/** The expression for a path in which `{name}` stands for anything within a segment. */
export function templateRegex(path: string): string {
  return path
    .split(/(\{[^}]*\})/)
    .map((part) => (part.startsWith('{') && part.endsWith('}') ? '[^/]*' : quoted(part)))
    .join('');
}

/** The expression that matches this text only. */
export function quoted(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&');
}
