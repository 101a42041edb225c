// SPDX-License-Identifier: Apache-2.0
/*
 * A chart as a directory holds it: Chart.yaml, values, schema, templates and files. Charts with dependencies are not supported: ours have
 * none.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ChartError } from './errors.ts';
import { type Dictionary, isDictionary } from './template/data.ts';
import { checkFunctions } from './template/engine.ts';
import { parseTemplate } from './template/parser.ts';
import type { Template } from './template/syntax.ts';
import { parseYaml } from './yaml-text.ts';

/** Files of one chart; more is refused. */
const MAX_FILES = 1_000;

/** What Chart.yaml says. */
export interface ChartMetadata {
  readonly name: string;
  readonly version: string;
  readonly appVersion: string;
  readonly description: string;
  /** A constraint, '' for any version. */
  readonly kubeVersion: string;
}

/** A loaded chart: linted templates, and values as they are in the file. */
export interface Chart {
  readonly metadata: ChartMetadata;
  readonly directory: string;
  /** values.yaml. */
  readonly values: Dictionary;
  /** The text of values.yaml, with its comments. */
  readonly valuesText: string;
  /** values.schema.json, if there is one. */
  readonly schema: Dictionary | undefined;
  /** Templates by name: files by `<chart>/templates/…`, and every `define`. */
  readonly templates: ReadonlyMap<string, Template>;
  /** Names of the template files that are rendered, in Helm's order. */
  readonly rendered: readonly string[];
  /** Other files by path, for `.Files.Get`. */
  readonly files: ReadonlyMap<string, string>;
}

/** Names of the charts that come with Weft. */
export type ChartName = 'weft-crds' | 'weft-control-plane' | 'weft-cni';

/**
 * Where a chart of ours is: beside the program that holds this code (a built CLI carries the charts in `charts/`), or in the repository.
 * Throws `ERR_CHART_FILE`.
 */
export function chartDirectory(name: ChartName): string {
  const candidates = [`./charts/${name}`, `../charts/${name}`, `../../../charts/${name}`].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const found = candidates.find((path) => existsSync(join(path, 'Chart.yaml')));
  if (found === undefined) throw new ChartError('ERR_CHART_FILE', `the chart ${name} is in none of ${candidates.join(', ')}`);
  return found;
}

/** Reads and lints a chart; throws `ERR_CHART_FILE`, `ERR_CHART_SYNTAX`, `ERR_CHART_FUNCTION` or `ERR_CHART_VALUES`. */
export function loadChart(directory: string): Chart {
  const paths = listFiles(directory);
  const read = (path: string): string => readFileSync(join(directory, path), 'utf8');
  if (!paths.includes('Chart.yaml')) throw new ChartError('ERR_CHART_FILE', `${directory} holds no Chart.yaml`);
  const metadata = readMetadata(read('Chart.yaml'), directory);
  const valuesText = paths.includes('values.yaml') ? read('values.yaml') : '';
  const values = parseYaml(valuesText, 'values.yaml') ?? {};
  if (!isDictionary(values)) throw new ChartError('ERR_CHART_VALUES', 'values.yaml is not a map');
  const templates = new Map<string, Template>();
  const rendered: string[] = [];
  for (const path of paths.filter((candidate) => candidate.startsWith('templates/'))) {
    const name = `${metadata.name}/${path}`;
    for (const template of parseTemplate(path, name, read(path))) {
      const other = templates.get(template.name);
      if (other !== undefined) {
        throw new ChartError('ERR_CHART_SYNTAX', `the template ${JSON.stringify(template.name)} is also in ${other.file}`, template);
      }
      checkFunctions(template);
      templates.set(template.name, template);
    }
    const base = path.slice(path.lastIndexOf('/') + 1);
    if (!base.startsWith('_') && base !== 'NOTES.txt') rendered.push(name);
  }
  const schema = paths.includes('values.schema.json') ? (JSON.parse(read('values.schema.json')) as Dictionary) : undefined;
  const files = new Map(paths.filter((path) => path.startsWith('files/')).map((path) => [path, read(path)]));
  return { metadata, directory, values, valuesText, schema, templates, rendered, files };
}

/** Another values file of the chart, such as `values-ha.yaml`; throws `ERR_CHART_FILE` where there is none. */
export function chartValuesFile(chart: Chart, name: string): Dictionary {
  const path = join(chart.directory, name);
  if (!existsSync(path)) throw new ChartError('ERR_CHART_FILE', `the chart ${chart.metadata.name} has no ${name}`);
  const values = parseYaml(readFileSync(path, 'utf8'), name);
  if (values === null || !isDictionary(values)) throw new ChartError('ERR_CHART_VALUES', `${name} is not a map`);
  return values;
}

function readMetadata(source: string, directory: string): ChartMetadata {
  const parsed = parseYaml(source, 'Chart.yaml');
  if (parsed === null || !isDictionary(parsed)) throw new ChartError('ERR_CHART_FILE', `${directory}: Chart.yaml is not a map`);
  const word = (key: string): string => {
    const value = parsed[key] ?? '';
    if (typeof value !== 'string' && typeof value !== 'number') throw new ChartError('ERR_CHART_FILE', `Chart.yaml: ${key} is not text`);
    return String(value);
  };
  if (parsed['dependencies'] !== undefined) throw new ChartError('ERR_CHART_FILE', 'Chart.yaml: dependencies are outside the subset');
  const [name, version] = [word('name'), word('version')];
  if (name === '' || version === '') throw new ChartError('ERR_CHART_FILE', 'Chart.yaml: name and version are required');
  return { name, version, appVersion: word('appVersion'), description: word('description'), kubeVersion: word('kubeVersion') };
}

/** Paths below a directory with `/`, sorted; what begins with a dot is left out. */
function listFiles(directory: string): string[] {
  const found: string[] = [];
  const visit = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      if (entry.name.startsWith('.')) continue;
      const child = join(path, entry.name);
      // Charts may be installed by links.
      if (entry.isDirectory() || (entry.isSymbolicLink() && statSync(child).isDirectory())) visit(child);
      else found.push(relative(directory, child).split(sep).join('/'));
      if (found.length > MAX_FILES) throw new ChartError('ERR_CHART_FILE', `${directory} holds more than ${MAX_FILES} files`);
    }
  };
  if (!existsSync(directory)) throw new ChartError('ERR_CHART_FILE', `${directory} does not exist`);
  visit(directory);
  return found.sort();
}
