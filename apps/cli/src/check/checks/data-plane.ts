// SPDX-License-Identifier: Apache-2.0
/* Meshed pods and their services (CK-14). */
import { ServiceKind } from '@weft/resources';
import type { Resource } from '@weft/resources';
import { CheckFailure } from '../check.ts';
import type { Category } from '../check.ts';
import { podName } from '../lookups.ts';
import type { Lookups } from '../lookups.ts';
import { namespaceMustExist } from './config.ts';
import { LATEST_VERSION_KNOWN, NAMESPACE_EXISTS } from './ids.ts';
import { proxiesMustBeLatest, proxiesMustBeReady, proxiesMustMatch } from './versions.ts';

const DATA_PLANE_EXISTS = 'linkerd-data-plane/namespace';
/** Annotations that do nothing as labels. */
const ANNOTATION_PREFIXES: readonly string[] = ['config.linkerd.io/', 'config.alpha.linkerd.io/', 'config.beta.linkerd.io/'];
/** A label, unlike its neighbours: it keeps the webhooks away. */
const TRUE_LABELS: ReadonlySet<string> = new Set(['config.linkerd.io/admission-webhooks']);
/** Labels that do nothing as annotations. */
const LABELS_OF_SERVICES: readonly string[] = ['mirror.linkerd.io/exported'];

export const dataPlane: Category = {
  name: 'linkerd-data-plane',
  checks: [
    {
      id: DATA_PLANE_EXISTS,
      description: 'data plane namespace exists',
      hintAnchor: 'l5d-data-plane-exists',
      needs: [NAMESPACE_EXISTS],
      run: async (lookups) => {
        // All namespaces: there is nothing to be missing.
        if (lookups.settings.dataPlaneNamespace !== '') await namespaceMustExist(lookups, lookups.settings.dataPlaneNamespace);
      },
    },
    {
      id: 'linkerd-data-plane/ready',
      description: 'data plane proxies are ready',
      hintAnchor: 'l5d-data-plane-ready',
      isAwaited: true,
      needs: [DATA_PLANE_EXISTS],
      run: async (lookups) => {
        const pods = await lookups.dataPlanePods();
        if (pods.length === 0) throw new CheckFailure('No "linkerd-proxy" containers found');
        proxiesMustBeReady(pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined));
      },
    },
    {
      id: 'linkerd-data-plane/latest',
      description: 'data plane is up-to-date',
      hintAnchor: 'l5d-data-plane-version',
      isWarning: true,
      needs: [DATA_PLANE_EXISTS, LATEST_VERSION_KNOWN],
      run: async (lookups) => proxiesMustBeLatest(lookups, await lookups.dataPlanePods()),
    },
    {
      id: 'linkerd-data-plane/cli',
      description: 'data plane and cli versions match',
      hintAnchor: 'l5d-data-plane-cli-version',
      isWarning: true,
      needs: [DATA_PLANE_EXISTS],
      run: async (lookups) => proxiesMustMatch(lookups, await lookups.dataPlanePods()),
    },
    {
      id: 'linkerd-data-plane/pod-labels',
      description: 'data plane pod labels are configured correctly',
      hintAnchor: 'l5d-data-plane-pod-labels',
      isWarning: true,
      needs: [DATA_PLANE_EXISTS],
      run: async (lookups) => {
        const isWrong = (label: string): boolean => label === 'linkerd.io/inject' || isAnnotation(label);
        tellMisplaced(
          'Some labels on data plane pods should be annotations:',
          (await lookups.dataPlanePods()).map((pod) => [podName(pod), Object.keys(pod.metadata.labels).filter(isWrong)]),
        );
      },
    },
    {
      id: 'linkerd-data-plane/service-labels',
      description: 'data plane service labels are configured correctly',
      hintAnchor: 'l5d-data-plane-services-labels',
      isWarning: true,
      needs: [DATA_PLANE_EXISTS],
      run: async (lookups) => {
        tellMisplaced(
          'Some labels on data plane services should be annotations:',
          (await services(lookups)).map(({ metadata }) => [
            `${metadata.namespace}/${metadata.name}`,
            Object.keys(metadata.labels).filter(isAnnotation),
          ]),
        );
      },
    },
    {
      id: 'linkerd-data-plane/service-annotations',
      description: 'data plane service annotations are configured correctly',
      hintAnchor: 'l5d-data-plane-services-annotations',
      isWarning: true,
      needs: [DATA_PLANE_EXISTS],
      run: async (lookups) => {
        tellMisplaced(
          'Some annotations on data plane services should be labels:',
          (await services(lookups)).map(({ metadata }) => [
            `${metadata.namespace}/${metadata.name}`,
            LABELS_OF_SERVICES.filter((name) => name in metadata.annotations),
          ]),
        );
      },
    },
  ],
};

function isAnnotation(name: string): boolean {
  return !TRUE_LABELS.has(name) && ANNOTATION_PREFIXES.some((prefix) => name.startsWith(prefix));
}

async function services(lookups: Lookups): Promise<readonly Resource[]> {
  const { dataPlaneNamespace: namespace } = lookups.settings;
  return lookups.list(ServiceKind, namespace === '' ? {} : { namespace });
}

function tellMisplaced(heading: string, objects: readonly (readonly [string, readonly string[]])[]): void {
  const lines = objects.flatMap(([name, keys]) => (keys.length === 0 ? [] : [`* ${name}`, ...keys.map((key) => `    ${key}`)]));
  if (lines.length > 0) throw new CheckFailure([heading, ...lines].join('\n'));
}
