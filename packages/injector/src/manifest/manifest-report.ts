// SPDX-License-Identifier: Apache-2.0
/* What became of one object of a manifest, for the CLI's report (feature CLI-24). */
import type { AnnotationProblem } from '../annotations/overlay.ts';
import type { SkipReason } from '../decision.ts';
import { objectOf, textOf, type JsonObject } from '../json-object.ts';

/** `annotated` is a Service that got its ports; `unchanged` is nothing to take out. */
export type ManifestOutcome = 'injected' | 'annotated' | 'uninjected' | 'unchanged' | 'skipped' | 'unsupported';

export interface ManifestReport {
  /** Kind as it is written, '' where there is none. */
  readonly kind: string;
  readonly name: string;
  readonly outcome: ManifestOutcome;
  /** Of `skipped`. */
  readonly skipReasons: readonly SkipReason[];
  readonly problems: readonly AnnotationProblem[];
  /** UDP stays outside the mesh: worth a warning, no reason to skip. */
  readonly hasUdpPorts: boolean;
  /** The objects of a List, in order; empty for all others. */
  readonly items: readonly ManifestReport[];
}

/** A report without details. */
export function reportOf(object: JsonObject, outcome: ManifestOutcome, more: Partial<ManifestReport> = {}): ManifestReport {
  return {
    kind: textOf(object['kind']),
    name: textOf(objectOf(object['metadata'])['name']),
    outcome,
    skipReasons: [],
    problems: [],
    hasUdpPorts: false,
    items: [],
    ...more,
  };
}
