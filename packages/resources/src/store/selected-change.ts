// SPDX-License-Identifier: Apache-2.0
/*
 * A change as a watch with a selector sees it: an object that comes into the selection is added, one that leaves it is deleted, with the
 * last state that was selected (Kubernetes API concepts, watches with selectors).
 */
import { matchesSelector } from '../selectors.ts';
import type { Resource, Selector } from '../types.ts';
import type { Change } from './change-log.ts';

/** The event for `change`, or undefined when neither state is selected. */
export function selectedChange(
  change: Change,
  selector: Selector | undefined,
): { readonly type: 'added' | 'modified' | 'deleted'; readonly object: Resource } | undefined {
  const { object, previous } = change;
  const isIn = object !== undefined && matchesSelector(object, selector);
  const wasIn = previous !== undefined && matchesSelector(previous, selector);
  if (isIn) return { type: wasIn ? 'modified' : 'added', object };
  if (!wasIn) return undefined;
  if (object === undefined) return { type: 'deleted', object: previous };
  // The version of the change, so that a watch resumes after it.
  return { type: 'deleted', object: { ...previous, metadata: { ...previous.metadata, resourceVersion: object.metadata.resourceVersion } } };
}
