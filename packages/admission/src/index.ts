// SPDX-License-Identifier: Apache-2.0
export { admissionRules, type OnWarning } from './admission-rules.ts';
export { REVIEW_LIMITS } from './findings.ts';
export { reviewPolicy, reviewServiceProfile } from './review.ts';
export type { ReviewAnswer, ReviewRequest } from './types.ts';
