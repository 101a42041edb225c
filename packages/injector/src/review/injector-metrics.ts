// SPDX-License-Identifier: Apache-2.0
/*
 * The injector's two counters, under the reference's names and labels (control-contract §4.2, feature INJ-20): one label for each configuration
 * annotation, with what the workload or its namespace sets. Those values are anyone's texts, so they are cut, and when too many different
 * ones came the labels of further series stay empty.
 */
import { INHERITED_CONFIG_ANNOTATIONS } from '../annotations/names.ts';
import type { InjectionReport } from '../injection-report.ts';

/** What the counters are made with, as `@weft/telemetry/prom` gives it. */
export interface CounterFactory {
  counter(name: string, help: string, labelNames: readonly string[]): { inc(labels: Record<string, string>, value?: number): void };
}

/** Longer annotation values are cut. */
export const MAX_LABEL_LENGTH = 64;
/** Different sets of annotation values that are counted apart. */
export const MAX_ANNOTATION_SETS = 500;

/** Annotation by label. */
const CONFIG_LABELS: ReadonlyMap<string, readonly string[]> = labelsOf(INHERITED_CONFIG_ANNOTATIONS);

function labelsOf(annotations: readonly string[]): ReadonlyMap<string, readonly string[]> {
  const labels = new Map<string, string[]>();
  for (const annotation of annotations) {
    const label = annotation.slice(annotation.indexOf('/') + 1).replaceAll('-', '_');
    labels.set(label, [...(labels.get(label) ?? []), annotation]);
  }
  return labels;
}

export interface InjectorMetrics {
  /** One request. `annotations`: the workload's, over its namespace's. */
  request(ownerKind: string, namespace: string, report: InjectionReport, annotations: ReadonlyMap<string, string>): void;
  /** Its answer. */
  response(ownerKind: string, namespace: string, report: InjectionReport, annotations: ReadonlyMap<string, string>): void;
}

/** Declares the counters. */
export function createInjectorMetrics(factory: CounterFactory): InjectorMetrics {
  const configLabels = [...CONFIG_LABELS.keys()];
  const requests = factory.counter(
    'proxy_inject_admission_requests_total',
    'A counter for number of admission requests to proxy injector.',
    ['owner_kind', 'namespace', 'annotation_at', ...configLabels],
  );
  const responses = factory.counter(
    'proxy_inject_admission_responses_total',
    'A counter for number of admission responses from proxy injector.',
    ['owner_kind', 'namespace', 'skip', 'skip_reason', 'annotation_at', ...configLabels],
  );
  const seen = new Set<string>();

  const configValues = (annotations: ReadonlyMap<string, string>): Record<string, string> => {
    const values: Record<string, string> = {};
    for (const [label, names] of CONFIG_LABELS) {
      const value = names.map((name) => annotations.get(name)).find((one) => one !== undefined) ?? '';
      values[label] = value.slice(0, MAX_LABEL_LENGTH);
    }
    const key = JSON.stringify(values);
    if (seen.has(key)) return values;
    if (seen.size >= MAX_ANNOTATION_SETS) return Object.fromEntries(configLabels.map((label) => [label, '']));
    seen.add(key);
    return values;
  };

  return {
    request: (ownerKind, namespace, report, annotations) =>
      requests.inc({ owner_kind: ownerKind, namespace, annotation_at: report.annotatedAt, ...configValues(annotations) }),
    response: (ownerKind, namespace, report, annotations) => {
      // As the reference counts: an answer with a patch is none that skips, whatever the patch holds.
      const isSkipped = !report.isInjected && report.opaquePorts === undefined;
      responses.inc({
        owner_kind: ownerKind,
        namespace,
        skip: String(isSkipped),
        skip_reason: isSkipped ? report.skipReasons.join(',') : '',
        annotation_at: report.annotatedAt,
        ...configValues(annotations),
      });
    },
  };
}
