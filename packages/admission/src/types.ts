// SPDX-License-Identifier: Apache-2.0
/*
 * What a review is given and what it answers: the parts of an AdmissionReview (admission.k8s.io/v1) that the rules look at, so that a
 * webhook's request is one as it stands and a directory of manifests can make one.
 */
import type { Gvk } from '@weft/resources';

/** A write that asks to be admitted. `object` is JSON of any shape: nothing about it has been checked. */
export interface ReviewRequest {
  readonly kind: Gvk;
  /** CREATE, UPDATE, DELETE or CONNECT. */
  readonly operation: string;
  /** '' or absent: the object itself. */
  readonly subResource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly object: unknown;
}

/** The answer. `message` is set where the write is refused; `warnings` are shown to the user either way. */
export interface ReviewAnswer {
  readonly allowed: boolean;
  readonly message?: string;
  /** HTTP status of the refusal. */
  readonly code?: number;
  readonly warnings?: string[];
}
