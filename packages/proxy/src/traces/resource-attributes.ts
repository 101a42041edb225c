// SPDX-License-Identifier: Apache-2.0
/*
 * What the spans of this process say of it (proxy-contract §1.5, §8; features TRC-03): the service's name, then the pod's labels, then what the
 * installation gives, then OTEL_RESOURCE_ATTRIBUTES; later ones win.
 */
import type { SpanAttribute } from './tracer.ts';

/** Attributes of a resource; more are left out. */
export const MAX_RESOURCE_ATTRIBUTES = 128;

export interface ResourceFacts {
  readonly serviceName: string;
  /** Contents of the labels file, '' for none: lines `key="value"`. */
  readonly labelsText: string;
  readonly extra: ReadonlyMap<string, string>;
  /** From OTEL_RESOURCE_ATTRIBUTES. */
  readonly own: ReadonlyMap<string, string>;
  readonly hostName: string | undefined;
  readonly pid: number;
  /** Milliseconds since the epoch. */
  readonly startMs: number;
}

export function resourceAttributes(facts: ResourceFacts): readonly SpanAttribute[] {
  const attributes = new Map<string, string | number>([
    ['service.name', facts.serviceName],
    ['process.pid', facts.pid],
    ['process.start_timestamp', Math.floor(facts.startMs / 1000)],
  ]);
  if (facts.hostName !== undefined && facts.hostName !== '') attributes.set('host.name', facts.hostName);
  for (const given of [labelsOf(facts.labelsText), facts.extra, facts.own]) {
    for (const [key, value] of given) {
      if (attributes.size < MAX_RESOURCE_ATTRIBUTES || attributes.has(key)) attributes.set(key, value);
    }
  }
  return [...attributes];
}

/** Labels as the downward API writes them: Go's quoted strings, whose escapes label values cannot contain. */
function* labelsOf(text: string): Generator<readonly [string, string]> {
  for (const line of text.split('\n')) {
    const equals = line.indexOf('=');
    const key = line.slice(0, Math.max(equals, 0)).trim();
    if (key !== '')
      yield [
        key,
        line
          .slice(equals + 1)
          .trim()
          .replaceAll(/^"|"$/g, ''),
      ];
  }
}
