// SPDX-License-Identifier: Apache-2.0
/*
 * Templates and what they give, with the values below as dot. Our engine is tested with them beside its code, and Helm in e2e/charts: what
 * they say is what Helm does.
 */
import type { Dictionary } from '../template/data.ts';

/** Dot of the expressions. */
export const EXPRESSION_VALUES: Dictionary = {
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

/** A template and its text. */
export type Expression = readonly [source: string, expected: string];

/** Blocks, variables and named templates. */
export const CONTROL_EXPRESSIONS: readonly Expression[] = [
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
];

/** Every function of the subset. */
export const FUNCTION_EXPRESSIONS: readonly Expression[] = [
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
  ['{{ toYaml (dict "a" "on" "b" "1" "c" "x-y" "d" (list "p") "e" (dict) "f" (list)) }}', 'a: "on"\nb: "1"\nc: x-y\nd:\n- p\ne: {}\nf: []'],
  ['{{ (fromYaml "a: &x {b: 1}\\nc: *x").c.b }}', '1'],
  ['{{ toJson .map }}{{ toJson "<&>" }}', '{"a":{"deep":"d"},"b":2}"\\u003c\\u0026\\u003e"'],
  ['{{ list 1 "a" | toJson }}{{ concat .list (list "c") | join "" }}{{ has "a" .list }}', '[1,"a"]abctrue'],
  ['{{ get .map "none" }}{{ hasKey .map "a" }}', 'true'],
  ['{{ $m := dict "a" "1" }}{{ $_ := set $m "b" "2" }}{{ $_ := unset $m "a" }}{{ toJson $m }}', '{"b":"2"}'],
  ['{{ merge (dict "a" "" "b" (dict "x" "1")) (dict "a" "2" "b" (dict "x" "9" "y" "3")) | toJson }}', '{"a":"2","b":{"x":"1","y":"3"}}'],
  ['{{ $c := deepCopy .map }}{{ $_ := set $c.a "deep" "changed" }}{{ .map.a.deep }}', 'd'],
  ['{{ range until 3 }}{{ . }}{{ end }}', '012'],
  ['{{ if lookup "v1" "Pod" "a" "b" }}x{{ else }}none{{ end }}', 'none'],
];
