// SPDX-License-Identifier: Apache-2.0
/*
 * The whole subset by name. A template that names anything else is refused before it runs.
 */
import { COLLECTIONS } from './collections.ts';
import { LOGIC } from './logic.ts';
import { STRINGS } from './strings.ts';
import { asString, type TemplateFunction } from './types.ts';

const TEMPLATES: readonly TemplateFunction[] = [
  {
    name: 'include',
    arity: [2, 2],
    summary: 'the text of a named template',
    call: ([name, dot], context) => context.include(asString(name, 'the name'), dot ?? null),
  },
  {
    name: 'tpl',
    arity: [2, 2],
    summary: 'a text of the values run as a template',
    call: ([source, dot], context) => context.renderText(asString(source, 'the text'), dot ?? null),
  },
  {
    name: 'Files.Get',
    arity: [1, 1],
    summary: 'a file of the chart as text',
    call: ([path], context) => context.file(asString(path, 'the path')),
  },
  {
    name: 'APIVersions.Has',
    arity: [1, 1],
    summary: 'whether the cluster serves an API version',
    call: ([version], context) => context.hasApiVersion(asString(version, 'the version')),
  },
];

/** Evaluated by the engine: arguments after the deciding one are not run. */
const LAZY: readonly TemplateFunction[] = ['and', 'or'].map((name) => ({
  name,
  arity: [1, Infinity],
  summary: name === 'and' ? 'the first that is not true, else the last' : 'the first that is true, else the last',
  call: (): never => {
    throw new Error(`${name} is evaluated by the engine`);
  },
}));

/** Every function that a chart may use. */
export const FUNCTIONS: ReadonlyMap<string, TemplateFunction> = new Map(
  [...LAZY, ...LOGIC, ...STRINGS, ...COLLECTIONS, ...TEMPLATES].map((entry) => [entry.name, entry]),
);
