// SPDX-License-Identifier: Apache-2.0
/* The debug container (control-contract §4.4 item 5, feature INJ-17): tools and a packet log, next to the application. */
import { present, type JsonObject } from '../json-object.ts';
import type { InjectorValues } from '../values.ts';
import { imageReference, pullPolicyOf } from './context.ts';

export const DEBUG_CONTAINER_NAME: string = 'linkerd-debug';

/** Builds the container. */
export function debugContainer(values: InjectorValues): JsonObject {
  // It is up as soon as it runs: the pod's readiness must not depend on it.
  const isUp = { exec: { command: ['true'] } };
  return present({
    image: imageReference(values.debugImage),
    imagePullPolicy: pullPolicyOf(values.debugImage, values),
    livenessProbe: isUp,
    name: DEBUG_CONTAINER_NAME,
    readinessProbe: isUp,
    terminationMessagePolicy: 'FallbackToLogsOnError',
  });
}
