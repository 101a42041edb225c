// SPDX-License-Identifier: Apache-2.0
/*
 * Which pods the repair controller deletes (proxy-contract §10.4): those whose network validator found that the rules are missing,
 * because their sandbox was made while the plugin was not there. Restarting their containers would not help; a new sandbox does.
 */
import type { Pod } from '@weft/resources';

/** The init container that looks. */
export const VALIDATOR_CONTAINER = 'linkerd-network-validator';
/** Its exit code when the rules are missing. */
export const NOT_REDIRECTED_EXIT_CODE = 95;

/** Whether a new sandbox would help this pod. */
export function needsNewSandbox(pod: Pod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const validator = (pod.status?.initContainerStatuses ?? []).find(({ name }) => name === VALIDATOR_CONTAINER);
  // While it waits for its next start, the last end is in `lastState`.
  return (
    validator !== undefined &&
    [validator.state, validator.lastState].some((state) => exitCodeOf(state) === NOT_REDIRECTED_EXIT_CODE && !hasSucceeded(validator.state))
  );
}

function exitCodeOf(state: unknown): unknown {
  return terminatedOf(state)?.['exitCode'];
}

function hasSucceeded(state: unknown): boolean {
  return exitCodeOf(state) === 0;
}

function terminatedOf(state: unknown): Readonly<Record<string, unknown>> | undefined {
  const terminated = typeof state === 'object' && state !== null ? (state as Readonly<Record<string, unknown>>)['terminated'] : undefined;
  return typeof terminated === 'object' && terminated !== null ? (terminated as Readonly<Record<string, unknown>>) : undefined;
}
