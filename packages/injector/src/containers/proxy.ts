// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy container (control-contract §4.4 item 7, features INJ-10 to INJ-16): a native sidecar, which Kubernetes starts before the
 * others and stops after them, or an ordinary container that makes the others wait by its postStart hook.
 */
import { present, type JsonObject } from '../json-object.ts';
import type { ProxyValues } from '../values.ts';
import { imageReference, pullPolicyOf, type ContainerContext } from './context.ts';
import { IDENTITY_DIRECTORY, PODINFO_DIRECTORY, PROXY_CONTAINER_NAME, proxyEnvironment, TOKEN_DIRECTORY } from './proxy-env.ts';
import { containerResources } from './resources.ts';
import { IDENTITY_VOLUME, PODINFO_VOLUME, TOKEN_VOLUME } from './volumes.ts';

/** How long the other containers of a pod wait for an ordinary proxy container. */
const AWAIT_TIMEOUT = '2m';

/** Builds the container. */
export function proxyContainer(context: ContainerContext): JsonObject {
  const { values } = context;
  const { proxy } = values;
  const get = (path: string): JsonObject => ({ httpGet: { path, port: proxy.ports.admin } });
  return present({
    env: proxyEnvironment(context),
    image: imageReference(proxy.image),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    lifecycle: proxy.nativeSidecar ? undefined : lifecycle(proxy),
    livenessProbe: { ...get('/live'), ...proxy.livenessProbe },
    name: PROXY_CONTAINER_NAME,
    ports: [
      { containerPort: proxy.ports.inbound, name: 'linkerd-proxy' },
      { containerPort: proxy.ports.admin, name: 'linkerd-admin' },
    ],
    readinessProbe: { ...get('/ready'), ...proxy.readinessProbe },
    resources: containerResources(proxy.resources),
    restartPolicy: proxy.nativeSidecar ? 'Always' : undefined,
    securityContext: securityContext(context),
    startupProbe: proxy.nativeSidecar && proxy.await ? { ...get('/ready'), ...proxy.startupProbe } : undefined,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: volumeMounts(context),
  });
}

function lifecycle({ await: isAwaited, ports, waitBeforeExitSeconds }: ProxyValues): JsonObject | undefined {
  const exec = (...command: string[]): JsonObject => ({ exec: { command } });
  if (!isAwaited && waitBeforeExitSeconds === 0) return undefined;
  return present({
    postStart: isAwaited ? exec('/usr/lib/linkerd/linkerd-await', `--timeout=${AWAIT_TIMEOUT}`, `--port=${ports.admin}`) : undefined,
    preStop: waitBeforeExitSeconds > 0 ? exec('/bin/sleep', String(waitBeforeExitSeconds)) : undefined,
  });
}

function securityContext({ values: { proxy }, capabilities }: ContainerContext): JsonObject {
  if (Object.keys(proxy.securityContext).length > 0) return proxy.securityContext;
  return present({
    allowPrivilegeEscalation: false,
    capabilities:
      capabilities === undefined
        ? undefined
        : present({
            add: capabilities.add.length > 0 ? capabilities.add : undefined,
            drop: capabilities.drop.length > 0 ? capabilities.drop : undefined,
          }),
    readOnlyRootFilesystem: true,
    runAsGroup: proxy.gid >= 0 ? proxy.gid : undefined,
    runAsNonRoot: true,
    runAsUser: proxy.uid,
    seccompProfile: { type: 'RuntimeDefault' },
  });
}

function volumeMounts({ values, tokenMount }: ContainerContext): readonly JsonObject[] {
  return [
    ...(values.proxy.tracing.enabled ? [{ mountPath: PODINFO_DIRECTORY, name: PODINFO_VOLUME }] : []),
    { mountPath: IDENTITY_DIRECTORY, name: IDENTITY_VOLUME },
    ...(values.serviceAccountTokenProjection ? [{ mountPath: TOKEN_DIRECTORY, name: TOKEN_VOLUME }] : []),
    ...(tokenMount === undefined ? [] : [tokenMount]),
  ];
}
