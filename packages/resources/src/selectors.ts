// SPDX-License-Identifier: Apache-2.0
/*
 * Selecting objects: by the Selector of a source (namespace, name, labels) and by the set-based label selectors inside objects
 * (meta/v1 LabelSelector).
 */
import type { LabelSelector } from './kinds/meta.ts';
import type { Resource, Selector } from './types.ts';

/** Whether an object is selected; no selector selects all. */
export function matchesSelector(object: Pick<Resource, 'metadata' | 'spec'>, selector: Selector | undefined): boolean {
  if (selector === undefined) return true;
  const { metadata } = object;
  if (selector.namespace !== undefined && selector.namespace !== metadata.namespace) return false;
  if (selector.name !== undefined && selector.name !== metadata.name) return false;
  for (const key of selector.hasLabels ?? []) if (!Object.hasOwn(metadata.labels, key)) return false;
  if (selector.nodeName !== undefined && selector.nodeName !== (object.spec as { nodeName?: unknown } | undefined)?.nodeName) return false;
  return selector.labels === undefined || hasLabels(metadata.labels, selector.labels);
}

/** Whether `labels` has every one of `wanted`, with that value. */
export function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  for (const key in wanted) {
    if (!Object.hasOwn(labels, key) || labels[key] !== wanted[key]) return false;
  }
  return true;
}

/**
 * Whether labels satisfy a set-based selector. An empty selector matches all, an absent one nothing; NotIn also holds where the label
 * is missing (meta/v1 LabelSelector). An unknown operator matches nothing.
 */
export function matchesLabelSelector(labels: Readonly<Record<string, string>>, selector: LabelSelector | undefined): boolean {
  if (selector === undefined) return false;
  if (selector.matchLabels !== undefined && !hasLabels(labels, selector.matchLabels)) return false;
  for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        if (value === undefined || !values.includes(value)) return false;
        break;
      case 'NotIn':
        if (value !== undefined && values.includes(value)) return false;
        break;
      case 'Exists':
        if (value === undefined) return false;
        break;
      case 'DoesNotExist':
        if (value !== undefined) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}
