// SPDX-License-Identifier: Apache-2.0
/*
 * The control plane as objects: the chart's, the namespace that only an installation by command makes (control-contract §6.2), and the
 * Secret that remembers what the user asked for (features CLI-15).
 */
import { chartDirectory, ChartError, defaultValues, loadChart, mergeValues, renderObjects, unknownValues, writeYaml } from '@weft/chart';
import type { Chart, ChartName, Data, Dictionary, RenderedObject } from '@weft/chart';
import { CommandFailure } from '../command-context.ts';
import { VERSION } from '../version.ts';

/** Name of the release, as Helm users would give it. */
export const RELEASE_NAME = 'linkerd-control-plane';
/** The Secret with the values that differ from the chart's, and its key. */
export const OVERRIDES_NAME = 'linkerd-config-overrides';
/** Kept out of the overrides: the issuer lives in its own Secret only. */
const PRIVATE_PATHS: readonly (readonly string[])[] = [
  ['identity', 'issuer', 'tls'],
  ['proxyInjector', 'keyPEM'],
  ['profileValidator', 'keyPEM'],
  ['policyValidator', 'keyPEM'],
];

/** Values that belong to the program that prints, never to what a user asked for: an upgrade sets them anew. */
export const VOLATILE_VALUES: readonly string[] = ['cliVersion', 'linkerdVersion'];

/** Loads a chart that comes with this program. Throws CommandFailure when it is not there. */
export function loadOwnChart(name: ChartName): Chart {
  return told(() => loadChart(chartDirectory(name)));
}

/** Where to render to, and for what. */
export interface ReleaseOptions {
  readonly namespace: string;
  readonly isInstall: boolean;
  /** `v1.37.2`; undefined without a cluster. */
  readonly kubeVersion?: string;
}

/** Renders a chart. Throws CommandFailure for values that it refuses. */
export function renderRelease(chart: Chart, values: Dictionary, release: ReleaseOptions): readonly RenderedObject[] {
  return told(() =>
    renderObjects(chart, {
      values,
      release: { name: RELEASE_NAME, namespace: release.namespace, isInstall: release.isInstall },
      ...(release.kubeVersion === undefined ? {} : { capabilities: { kubeVersion: release.kubeVersion } }),
    }),
  );
}

/** The whole control plane: namespace, chart, overrides. */
export function renderControlPlane(chart: Chart, values: Dictionary, release: ReleaseOptions): readonly RenderedObject[] {
  const { namespace } = release;
  const whole = mergeValues(defaultValues(chart), values);
  return [
    namespaceObject(namespace, whole['cniEnabled'] === true),
    ...renderRelease(chart, values, release),
    overridesObject(namespace, overridesOf(chart, values)),
  ];
}

/** Names of values that the chart does not know: probably misspelt. */
export function misspelt(chart: Chart, values: Dictionary): string[] {
  return unknownValues(chart, values);
}

/** The namespace, labelled as the webhooks, extensions and pod security want it. */
function namespaceObject(name: string, isCniEnabled: boolean): RenderedObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      annotations: { 'linkerd.io/inject': 'disabled' },
      labels: {
        'linkerd.io/is-control-plane': 'true',
        'config.linkerd.io/admission-webhooks': 'disabled',
        'linkerd.io/control-plane-ns': name,
        // proxy-init needs capabilities that the restricted level does not give.
        'pod-security.kubernetes.io/enforce': isCniEnabled ? 'restricted' : 'privileged',
      },
    },
  };
}

function overridesObject(namespace: string, overrides: Dictionary): RenderedObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: OVERRIDES_NAME, namespace, labels: { 'linkerd.io/control-plane-ns': namespace } },
    data: { [OVERRIDES_NAME]: Buffer.from(writeYaml(overrides)).toString('base64') },
  };
}

/** What differs from the chart's defaults, without private keys and without what every run sets anew. */
export function overridesOf(chart: Chart, values: Dictionary): Dictionary {
  const given = mergeValues(values);
  for (const name of VOLATILE_VALUES) delete given[name];
  for (const path of PRIVATE_PATHS) remove(given, path);
  return difference(given, defaultValues(chart));
}

function remove(values: Dictionary, path: readonly string[]): void {
  const [name, ...rest] = path;
  if (name === undefined) return;
  const inner = values[name];
  if (rest.length === 0) delete values[name];
  else if (isMap(inner)) remove(inner, rest);
}

function difference(given: Dictionary, defaults: Dictionary): Dictionary {
  const result: Dictionary = {};
  for (const [name, value] of Object.entries(given)) {
    const fallback = defaults[name];
    if (isMap(value) && isMap(fallback)) {
      const inner = difference(value, fallback);
      if (Object.keys(inner).length > 0) result[name] = inner;
    } else if (!isSame(value, fallback)) result[name] = value;
  }
  return result;
}

function isSame(a: Data, b: Data | undefined): boolean {
  const text = (value: Data | undefined): string => (value === undefined ? '' : writeYaml(value));
  return text(a) === text(b);
}

/** Whether it is a map. */
export function isMap(value: Data | undefined): value is Dictionary {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value of `linkerd.io/created-by`. */
export const CREATED_BY: string = `weft/cli ${VERSION}`;

/** A mistake in values is the user's; one in a chart of ours is not, but reads better this way too. */
function told<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ChartError) throw new CommandFailure(error.message, 1, { cause: error });
    throw error;
  }
}
