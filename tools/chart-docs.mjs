// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run docs:charts`: the tables of the charts' READMEs and of docs/reference, from values.yaml and from the renderer's functions. What
 * stands around a table is kept; a test of packages/chart compares.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { chartDirectory, documentedValues, FUNCTIONS, loadChart, valuesTable } from '@weft/chart';

/** Replaces the table between `<!-- name -->` and `<!-- /name -->`. */
function replaceTable(path, name, table) {
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const page = readFileSync(path, 'utf8');
  const [start, end] = [page.indexOf(open), page.indexOf(close)];
  if (start === -1 || end < start) throw new Error(`${path} has no ${open} … ${close}`);
  writeFileSync(path, `${page.slice(0, start + open.length)}\n\n${table}\n\n${page.slice(end)}`);
}

const pages = ['docs/reference/helm-values.md', 'docs/reference/chart-templates.md'];
for (const name of ['weft-crds', 'weft-control-plane', 'weft-cni']) {
  const table = valuesTable(documentedValues(loadChart(chartDirectory(name))));
  const readme = `charts/${name}/README.md`;
  for (const page of [readme, 'docs/reference/helm-values.md']) replaceTable(page, name, table);
  pages.push(readme);
}
const functions = [...FUNCTIONS.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
const arity = ([least, most]) => (least === most ? `${least}` : most === Infinity ? `${least} or more` : `${least} to ${most}`);
const rows = functions.map((entry) => `| \`${entry.name}\` | ${arity(entry.arity)} | ${entry.summary} |`);
replaceTable(
  'docs/reference/chart-templates.md',
  'functions',
  ['| function | arguments | result |', '| --- | --- | --- |', ...rows].join('\n'),
);
execFileSync('npx', ['oxfmt', ...pages], { stdio: 'inherit' });
