// SPDX-License-Identifier: Apache-2.0
/* What became of one object: for events, metrics, logs, and the CLI's report (control-contract §4.2, feature CLI-24). */
import type { AnnotationProblem } from './annotations/overlay.ts';
import type { AnnotatedAt, SkipReason } from './decision.ts';

export interface InjectionReport {
  /** Kind and name of the object; the name may be '' where the API server is still to give one. */
  readonly kind: string;
  readonly name: string;
  readonly isInjected: boolean;
  readonly annotatedAt: AnnotatedAt;
  /** Empty where it is injected. */
  readonly skipReasons: readonly SkipReason[];
  /** The `opaque-ports` annotation that it was given by default. */
  readonly opaquePorts?: string;
  /** Annotations that were not honoured; the rest was. */
  readonly problems: readonly AnnotationProblem[];
  /** UDP stays outside the mesh. */
  readonly hasUdpPorts: boolean;
}
