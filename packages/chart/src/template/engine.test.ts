// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ChartError } from '../errors.ts';
import type { Data } from './data.ts';
import { checkFunctions, Engine } from './engine.ts';
import { CONTROL_EXPRESSIONS, EXPRESSION_VALUES as VALUES, FUNCTION_EXPRESSIONS } from '../testing/expressions.ts';
import { parseTemplate } from './parser.ts';

function render(source: string, dot: Data = {}): string {
  const templates = parseTemplate('templates/t.yaml', 't', source);
  for (const template of templates) checkFunctions(template);
  const engine = new Engine(new Map(templates.map((template) => [template.name, template])), {
    file: (path) => (path === 'files/a' ? 'A' : ''),
    hasApiVersion: (version) => version === 'policy/v1',
  });
  return engine.include('t', dot);
}

function failure(source: string, dot: Data = {}): ChartError {
  try {
    render(source, dot);
  } catch (error) {
    if (error instanceof ChartError) return error;
    throw error;
  }
  throw new Error(`${source} did not fail`);
}

describe('text and actions', () => {
  it.each([
    ['a {{ .word }} b', 'a w b'],
    ['a {{- .word -}} b', 'awb'],
    ['a\n  {{- /* note\n more */ -}}\n b', 'ab'],
    ['{{/* note */}}x', 'x'],
    ['{{ "q\\"\\n" }}{{ `r\\` }}', 'q"\nr\\'],
    ['{{ 7 }}{{ -3 }}{{ true }}', '7-3true'],
    ['[{{ .missing }}{{ .none }}]', '[]'],
    ['{{ .map.a.deep }}{{ (dict "k" .map).k.a.deep }}', 'dd'],
    ['{{ $x := .word }}{{ $x }}{{ $.word }}', 'ww'],
    ['{{ .Files.Get "files/a" }}{{ .Files.Get "none" }}', 'A'],
    ['{{ .Capabilities.APIVersions.Has "policy/v1" }}', 'true'],
  ])('%j gives %j', (source, expected) => expect(render(source, VALUES)).toBe(expected));
});

describe('control', () => {
  it.each(CONTROL_EXPRESSIONS)('%j gives %j', (source, expected) => expect(render(source, VALUES)).toBe(expected));
});

describe('functions', () => {
  it.each(FUNCTION_EXPRESSIONS)('%j gives %j', (source, expected) => expect(render(source, VALUES)).toBe(expected));
});

describe('mistakes are refused with their place', () => {
  it.each([
    ['\n{{ frobnicate .word }}', 'ERR_CHART_FUNCTION', 'templates/t.yaml:2: the function "frobnicate" is outside the subset'],
    ['{{ if .no }}{{ env "HOME" }}{{ end }}', 'ERR_CHART_FUNCTION', 'templates/t.yaml:1: the function "env" is outside the subset'],
    ['{{ .word | now }}', 'ERR_CHART_FUNCTION', 'the function "now" is outside the subset'],
    ['{{ (genCA "a" 1).Cert }}', 'ERR_CHART_FUNCTION', 'the function "genCA" is outside the subset'],
    ['{{ default .word }}', 'ERR_CHART_FUNCTION', 'default takes 2 arguments, not 1'],
    ['{{ if .word }}', 'ERR_CHART_SYNTAX', '{{if}} is not ended'],
    ['{{ end }}', 'ERR_CHART_SYNTAX', '{{end}} without a block'],
    ['{{ .word', 'ERR_CHART_SYNTAX', 'an action is not closed'],
    ['{{ /* x */ }}', 'ERR_CHART_SYNTAX', 'a comment must fill its action'],
    ['{{ .word .word }}', 'ERR_CHART_SYNTAX', 'only a function takes arguments'],
    ['{{ (.word }}', 'ERR_CHART_SYNTAX', 'a parenthesis is not closed'],
    ['{{ 1.5 }}', 'ERR_CHART_SYNTAX', 'outside the subset: only decimal integers'],
    ['{{ range .list }}{{ break }}{{ end }}', 'ERR_CHART_SYNTAX', '{{break}} is outside the subset'],
    ['{{ if .yes }}{{ define "x" }}{{ end }}{{ end }}', 'ERR_CHART_SYNTAX', 'define stands at the top of a file'],
    ['\n\n{{ .none.deep }}', 'ERR_CHART_TEMPLATE', 'templates/t.yaml:3: .none.deep: there is no deep in nothing (.none)'],
    ['{{ $x }}', 'ERR_CHART_TEMPLATE', 'the variable $x was not declared'],
    ['{{ include "no such" . }}', 'ERR_CHART_TEMPLATE', 'there is no template "no such"'],
    ['{{ fail "because" }}', 'ERR_CHART_TEMPLATE', 'because'],
    ['{{ required "needed" .none }}', 'ERR_CHART_TEMPLATE', 'needed'],
    ['{{ .big }}', 'ERR_CHART_TEMPLATE', 'pass it through int64'],
    ['{{ if .three }}x{{ end }}', 'ERR_CHART_TEMPLATE', 'a number from values is not true or false'],
    ['{{ .zero | default 3 }}', 'ERR_CHART_TEMPLATE', 'whether the number 0 from values is empty'],
    ['{{ eq .three 3 }}', 'ERR_CHART_TEMPLATE', 'is not compared as it is'],
    ['{{ eq .word 3 }}', 'ERR_CHART_TEMPLATE', 'incompatible types for comparison'],
    ['{{ .list }}', 'ERR_CHART_TEMPLATE', 'a list has no text'],
    ['{{ printf "%d" .three }}', 'ERR_CHART_TEMPLATE', '%d needs an integer'],
    ['{{ printf "%x" 1 }}', 'ERR_CHART_TEMPLATE', '%x is outside the subset'],
    ['{{ indent 100000 "a" }}', 'ERR_CHART_TEMPLATE', 'outside 0 … 1000'],
    ['{{ until 99999999 }}', 'ERR_CHART_TEMPLATE', 'is more than 10000'],
    ['{{ tpl "{{ env }}" . }}', 'ERR_CHART_FUNCTION', 'the function "env" is outside the subset'],
    ['{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}', 'ERR_CHART_LIMIT', 'more than 100 templates include each other'],
  ])('%j is %s', (source, code, message) => {
    const error = failure(source, VALUES);
    expect(error.code).toBe(code);
    expect(error.message).toContain(message);
  });

  it('bounds blocks inside blocks', () => {
    const error = failure(`${'{{ if true }}'.repeat(200)}${'{{ end }}'.repeat(200)}`);
    expect(error.code).toBe('ERR_CHART_SYNTAX');
    expect(error.message).toContain('more than 100 blocks inside each other');
  });
});
