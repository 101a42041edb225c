// SPDX-License-Identifier: Apache-2.0
export { chartDirectory, chartValuesFile, loadChart, type Chart, type ChartMetadata, type ChartName } from './chart.ts';
export { ChartError, type ChartErrorCode, type ChartPosition } from './errors.ts';
export { FUNCTIONS } from './functions/table.ts';
export type { FunctionContext, TemplateFunction } from './functions/types.ts';
export { compareKinds } from './install-order.ts';
export { renderChart, renderObjects, type RenderedFile, type RenderedObject, type RenderOptions } from './render.ts';
export { validateValues } from './schema.ts';
export type { Data, Dictionary } from './template/data.ts';
export { coalesceValues, defaultValues, haValues, mergeValues, unknownValues } from './values.ts';
export { documentedValues, valuesTable, type DocumentedValue } from './values-table.ts';
export { parseYaml, parseYamlStream, writeYaml } from './yaml-text.ts';
