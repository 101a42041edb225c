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
  /** Lines `key=value`. */
  readonly extraText: string;
  /** `key=value,key=value`. */
  readonly otelText: string;
  readonly hostname: string | undefined;
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
  if (facts.hostname !== undefined && facts.hostname !== '') attributes.set('host.name', facts.hostname);
  for (const [text, separator] of [
    [facts.labelsText, '\n'],
    [facts.extraText, '\n'],
    [facts.otelText, ','],
  ] as const) {
    for (const [key, value] of pairs(text, separator)) {
      if (attributes.size >= MAX_RESOURCE_ATTRIBUTES && !attributes.has(key)) break;
      attributes.set(key, value);
    }
  }
  return [...attributes];
}

function* pairs(text: string, separator: string): Generator<readonly [string, string]> {
  for (const piece of text.split(separator)) {
    const equals = piece.indexOf('=');
    const key = piece.slice(0, Math.max(equals, 0)).trim();
    if (key === '') continue;
    yield [
      key,
      piece
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/s, '$1'),
    ];
  }
}
