// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { ChartError } from '../errors.ts';
import type { Data, Dictionary } from './data.ts';
import { checkFunctions, Engine } from './engine.ts';
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

const VALUES: Dictionary = {
  word: 'w',
  none: null,
  yes: true,
  no: false,
  three: 3,
  big: 1000650000,
  zero: 0,
  list: ['a', 'b'],
  map: { b: 2, a: { deep: 'd' } },
};

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
  it.each([
    ['{{ if .yes }}a{{ else }}b{{ end }}', 'a'],
    ['{{ if .no }}a{{ else if .word }}b{{ else }}c{{ end }}', 'b'],
    ['{{ if .none }}a{{ else if .missing }}b{{ else }}c{{ end }}', 'c'],
    ['{{ with .map.a }}{{ .deep }}{{ end }}{{ with .none }}x{{ else }}y{{ end }}', 'dy'],
    ['{{ with .none }}x{{ else with .word }}{{ . }}{{ end }}', 'w'],
    ['{{ range .list }}{{ . }};{{ end }}', 'a;b;'],
    ['{{ range $i, $v := .list }}{{ $i }}{{ $v }}{{ end }}', '0a1b'],
    ['{{ range $k, $v := .map }}{{ $k }}{{ end }}', 'ab'],
    ['{{ range .none }}x{{ else }}empty{{ end }}', 'empty'],
    ['{{ $s := "" }}{{ range .list }}{{ $s = print $s . }}{{ end }}{{ $s }}', 'ab'],
    ['{{ $s := "o" }}{{ if .yes }}{{ $s := "i" }}{{ end }}{{ $s }}', 'o'],
    ['{{ define "d" }}<{{ . }}>{{ end }}{{ template "d" .word }}{{ include "d" .word | upper }}', '<w><W>'],
    ['{{ block "d" .word }}[{{ . }}]{{ end }}', '[w]'],
    ['{{ and .yes .word }}{{ or .no "x" }}{{ not .no }}', 'wxtrue'],
    ['{{ if and .none (fail "not evaluated") }}x{{ end }}{{ or .word (fail "not evaluated") }}', 'w'],
    ['{{ tpl "<{{ .word }}>" . }}', '<w>'],
  ])('%j gives %j', (source, expected) => expect(render(source, VALUES)).toBe(expected));
});

describe('functions', () => {
  it.each([
    ['{{ eq .word "v" "w" }}{{ ne .word "w" }}{{ eq .none "w" }}', 'truefalsefalse'],
    ['{{ gt (int .three) 2 }}{{ le 2 2 }}{{ lt "a" "b" }}', 'truetruetrue'],
    ['{{ .none | default "d" }}{{ .word | default "d" }}{{ "" | default .word }}', 'dww'],
    ['{{ empty .none }}{{ empty .list }}{{ coalesce "" .none "c" }}', 'truefalsec'],
    ['{{ ternary "a" "b" .yes }}{{ .no | ternary "a" "b" }}', 'ab'],
    ['{{ required "needed" .word }}', 'w'],
    ['{{ int64 .big }} {{ int "12" }} {{ int "x" }} {{ int true }}', '1000650000 12 0 1'],
    ['{{ toString .three }}{{ toString .yes }}', '3true'],
    ['{{ semverCompare ">=1.29.0-0" "v1.37.2" }}{{ semverCompare ">=1.29.0-0, <1.30.0" "v1.30.1" }}', 'truefalse'],
    ['{{ semverCompare ">=1.29.0" "v1.30.0-rc.1" }}{{ semverCompare ">=1.30.0-rc.2" "1.30.0-rc.10" }}', 'falsetrue'],
    ['{{ printf "%s-%d-%q-%v-%t-%%" .word (int .three) "q" .three .yes }}', 'w-3-"q"-3-true-%'],
    ['{{ print "a" "b" 1 2 "c" }}', 'ab1 2c'],
    ['{{ quote .word .none .three }}{{ squote "x" }}{{ "tab\t" | quote }}', '"w" "3"\'x\'"tab\\t"'],
    ['{{ trim " x " }}{{ trimSuffix "b" "ab" }}{{ trimPrefix "a" "ab" }}{{ upper "a" }}{{ lower "A" }}', 'xabAa'],
    ['{{ hasPrefix "a" "ab" }}{{ hasSuffix "a" "ab" }}{{ contains "b" "abc" }}', 'truefalsetrue'],
    ['{{ splitList "," "a,b" | join "+" }}{{ (split "," "a,b")._1 }}{{ join "," .list }}', 'a+bba,b'],
    ['{{ replace "+" "$&" "1+2" }}{{ trunc 2 "abc" }}{{ trunc -2 "abc" }}', '1$&2abbc'],
    ['{{ b64enc "hi" }}', 'aGk='],
    ['{{ sha256sum "" | trunc 8 }}', 'e3b0c442'],
    ['{{ indent 2 "a\\nb" }}|{{ nindent 1 "a" }}', '  a\n  b|\n a'],
    ['{{ toYaml .map }}', 'a:\n  deep: d\nb: 2'],
    [
      '{{ toYaml (dict "a" "on" "b" "1" "c" "x: y" "d" (list "p") "e" (dict) "f" (list)) }}',
      'a: "on"\nb: "1"\nc: "x: y"\nd:\n- p\ne: {}\nf: []',
    ],
    ['{{ (fromYaml "a: &x {b: 1}\\nc: *x").c.b }}', '1'],
    ['{{ toJson .map }}{{ toJson "<&>" }}', '{"a":{"deep":"d"},"b":2}"\\u003c\\u0026\\u003e"'],
    ['{{ list 1 "a" | toJson }}{{ concat .list (list "c") | join "" }}{{ has "a" .list }}', '[1,"a"]abctrue'],
    ['{{ get .map "none" }}{{ hasKey .map "a" }}{{ keys .map | join "" }}', 'trueab'],
    ['{{ $m := dict "a" "1" }}{{ $_ := set $m "b" "2" }}{{ $_ := unset $m "a" }}{{ toJson $m }}', '{"b":"2"}'],
    ['{{ merge (dict "a" "" "b" (dict "x" "1")) (dict "a" "2" "b" (dict "x" "9" "y" "3")) | toJson }}', '{"a":"2","b":{"x":"1","y":"3"}}'],
    ['{{ $c := deepCopy .map }}{{ $_ := set $c.a "deep" "changed" }}{{ .map.a.deep }}', 'd'],
    ['{{ range until 3 }}{{ . }}{{ end }}', '012'],
    ['{{ if lookup "v1" "Pod" "a" "b" }}x{{ else }}none{{ end }}', 'none'],
  ])('%j gives %j', (source, expected) => expect(render(source, VALUES)).toBe(expected));
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
