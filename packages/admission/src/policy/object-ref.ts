// SPDX-License-Identifier: Apache-2.0
/*
 * References to objects (control-contract §3.2, §3.5): group and kind are compared without case, and an absent group is the core one. What
 * admits a reference here is what later resolves it.
 */
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';

/** A kind that a reference may name; `group` is '' for core. */
export interface RefKind {
  readonly group: string;
  readonly kind: string;
}

/** A reference as written. */
export interface ObjectRef {
  readonly group: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace: string | undefined;
}

export const POLICY_GROUP = 'policy.linkerd.io';
export const GATEWAY_GROUP = 'gateway.networking.k8s.io';

/** Reads a reference; undefined where it has no kind or no name. */
export function readRef(field: Field, isNameRequired = true): ObjectRef | undefined {
  if (!field.isRequiredObject()) return undefined;
  const group = field.get('group').text() ?? '';
  const kind = field.get('kind').requiredText();
  const name = isNameRequired ? field.get('name').requiredText() : (field.get('name').text() ?? '');
  const namespace = field.get('namespace').text();
  return kind === undefined || name === undefined ? undefined : { group, kind, name, namespace };
}

/** Whether a reference names that kind. */
export function isRefTo(ref: ObjectRef, { group, kind }: RefKind): boolean {
  const given = ref.group.toLowerCase();
  return (given === 'core' ? '' : given) === group && ref.kind.toLowerCase() === kind.toLowerCase();
}

/** `Thing.example.com`, as kubectl names kinds. */
export function kindName({ group, kind }: RefKind): string {
  return group === '' || group === 'core' ? kind : `${kind}.${group}`;
}

/** A reference's kind for a message. */
export function quotedKind(ref: ObjectRef): string {
  return quote(kindName(ref));
}
