// SPDX-License-Identifier: Apache-2.0
/*
 * Rendering of a whole chart: values merged and validated, every template file run, and the objects in the order in which they are created.
 */
import type { Chart } from './chart.ts';
import { ChartError } from './errors.ts';
import { compareKinds } from './install-order.ts';
import { validateValues } from './schema.ts';
import { satisfies } from './semantic-version.ts';
import { copyOf, DataError, type Dictionary, isDictionary } from './template/data.ts';
import { Engine } from './template/engine.ts';
import { coalesceValues } from './values.ts';
import { parseYamlStream } from './yaml-text.ts';

/** What a chart is rendered with. */
export interface RenderOptions {
  /** Given values, over the chart's own; merge several with `mergeValues`. */
  readonly values: Dictionary;
  readonly release: {
    readonly name: string;
    readonly namespace: string;
    /** Default true. */
    readonly isInstall?: boolean;
  };
  readonly capabilities?: {
    /** Version of the cluster, such as `v1.37.2`; default: one that every chart accepts. */
    readonly kubeVersion?: string;
    /** API versions that the cluster serves, such as `policy/v1`. */
    readonly apiVersions?: readonly string[];
  };
}

/** A rendered template file. */
export interface RenderedFile {
  /** `<chart>/templates/…`. */
  readonly path: string;
  readonly text: string;
}

/** A rendered object: whatever a manifest may hold. */
export type RenderedObject = Dictionary;

const DEFAULT_KUBE_VERSION = 'v1.37.0';

/**
 * The files of a chart, those that are empty left out. Throws a `ChartError`: ERR_CHART_SCHEMA for values that the schema refuses,
 * ERR_CHART_TEMPLATE for `fail`, `required` and mistakes in templates, ERR_CHART_VALUES for a cluster that is too old.
 */
export function renderChart(chart: Chart, options: RenderOptions): RenderedFile[] {
  const { metadata } = chart;
  const kubeVersion = options.capabilities?.kubeVersion ?? DEFAULT_KUBE_VERSION;
  checkKubeVersion(metadata.kubeVersion, kubeVersion);
  const { values } = coalesceValues(chart, options.values);
  validateValues(chart, values);
  const apiVersions = new Set(options.capabilities?.apiVersions);
  const engine = new Engine(chart.templates, {
    file: (path) => chart.files.get(path) ?? '',
    hasApiVersion: (version) => apiVersions.has(version),
  });
  const isInstall = options.release.isInstall ?? true;
  const [, major = '', minor = ''] = /^v?(\d+)\.(\d+)/.exec(kubeVersion) ?? [];
  return chart.rendered
    .map((path) => {
      const context: Dictionary = {
        Values: copyOf(values),
        Release: {
          Name: options.release.name,
          Namespace: options.release.namespace,
          Service: 'Helm',
          IsInstall: isInstall,
          IsUpgrade: !isInstall,
          Revision: 1n,
        },
        Chart: { Name: metadata.name, Version: metadata.version, AppVersion: metadata.appVersion, Description: metadata.description },
        Capabilities: { KubeVersion: { Version: kubeVersion, Major: major, Minor: minor } },
        Template: { Name: path, BasePath: `${metadata.name}/templates` },
        Files: {},
      };
      return { path, text: engine.include(path, context) };
    })
    .filter(({ text }) => text.trim() !== '');
}

/** The objects of a chart in the order in which Helm creates them; throws as `renderChart`. */
export function renderObjects(chart: Chart, options: RenderOptions): RenderedObject[] {
  const objects = renderChart(chart, options).flatMap(({ path, text }) =>
    parseYamlStream(text, path).map((value) => {
      if (!isDictionary(value) || typeof value['kind'] !== 'string') {
        throw new ChartError('ERR_CHART_TEMPLATE', `${path} holds something that is no Kubernetes object`);
      }
      return { kind: value['kind'], value };
    }),
  );
  return objects.sort((a, b) => compareKinds(a.kind, b.kind)).map(({ value }) => value);
}

function checkKubeVersion(constraint: string, version: string): void {
  if (constraint === '') return;
  try {
    if (satisfies(version, constraint)) return;
  } catch (error) {
    if (error instanceof DataError) throw new ChartError('ERR_CHART_VALUES', error.message);
    throw error;
  }
  throw new ChartError('ERR_CHART_VALUES', `this chart needs Kubernetes ${constraint}, and the cluster has ${version}`);
}
