// SPDX-License-Identifier: Apache-2.0
/** `@weft/chart/testing`: sets of values and expressions that are also given to Helm. */
export { CONTROL_EXPRESSIONS, EXPRESSION_VALUES, FUNCTION_EXPRESSIONS, type Expression } from './testing/expressions.ts';
export { chartOf, find, podTemplates, renderSet, valuesOf, type Manifest } from './testing/objects.ts';
export { CNI_SETS, CONTROL_PLANE_SETS, CRD_SETS, REFUSED_SETS, REQUIRED_VALUES, type RefusedSet, type ValueSet } from './testing/values.ts';
