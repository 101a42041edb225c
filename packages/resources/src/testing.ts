// SPDX-License-Identifier: Apache-2.0
export { describeResourceSource } from './conformance.ts';
export type { ConformanceSubject } from './conformance.ts';
