// SPDX-License-Identifier: Apache-2.0
/* Requests and limits in the form of a container; nothing at all where none is set. */
import type { JsonObject } from '../json-object.ts';
import type { ResourceValues } from '../values.ts';

/** `resources` of a container, or undefined. */
export function containerResources({ cpu, memory, ephemeralStorage }: ResourceValues): JsonObject | undefined {
  const side = (name: 'limit' | 'request'): JsonObject => {
    const amounts = { cpu: cpu[name], 'ephemeral-storage': ephemeralStorage[name], memory: memory[name] };
    return Object.fromEntries(Object.entries(amounts).filter(([, amount]) => amount !== ''));
  };
  const sides = Object.entries({ limits: side('limit'), requests: side('request') }).filter(
    ([, amounts]) => Object.keys(amounts).length > 0,
  );
  return sides.length === 0 ? undefined : Object.fromEntries(sides);
}
