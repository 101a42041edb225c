// SPDX-License-Identifier: Apache-2.0
export { toVectorJson, type VectorJson } from './vector-json.ts';
export { equalAsVectors, vectorDifference } from './vector-difference.ts';
