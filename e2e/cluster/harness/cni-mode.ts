// SPDX-License-Identifier: Apache-2.0
/*
 * Pods that start while the CNI plugin is being replaced and somebody rewrites the node's network configuration: each one either comes up meshed, its
 * redirection proved from within, or does not come up at all. Shared by the short suite and the nightly one.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { APP_IMAGE } from '../images/test-images.ts';
import type { Kube } from './kube.ts';
import { imageArchive, installMesh, printed } from './mesh.ts';
import type { Pod } from './objects.ts';
import { output } from './command.ts';
import { eventually } from './eventually.ts';

/** The plugin with its repair controller, as `weft` prints it. */
export const INSTALL_CNI: readonly string[] = ['install-cni', '--set', 'repairController.enabled=true'];
const CONFLIST = '/etc/cni/net.d/10-bridge.conflist';
/** Often enough that some pods meet it, seldom enough that those which are held back get another chance. */
const REWRITE_EVERY_MS = 5000;
const REWRITES_PER_RESTART = 4;
/** As many as a node starts at once without starving. */
const PODS_AT_ONCE = 10;
const BATCH_TIMEOUT_MS = 300_000;

export interface StartReport {
  readonly started: number;
  /** Names of pods that ran without their connections going through the proxy. Must stay empty. */
  readonly unmeshed: readonly string[];
  /** Pods that the validator held back at first; the repair controller had them made anew. */
  readonly repaired: number;
  /** How often the node's configuration was rewritten meanwhile. */
  readonly rewrites: number;
}

/** Starts `count` meshed pods, ten at a time, while `disturb` goes on. `url` must answer with what it saw (images/app/echo.mjs). */
export async function startPodsUnderFire(
  kube: Kube,
  count: number,
  url: string,
  disturb: (signal: AbortSignal) => Promise<number>,
): Promise<StartReport> {
  const abort = new AbortController();
  const disturbing = disturb(abort.signal);
  const unmeshed: string[] = [];
  let started = 0;
  let repaired = 0;
  try {
    for (let batch = 0; started < count; batch++) {
      const size = Math.min(PODS_AT_ONCE, count - started);
      const name = `batch-${batch}`;
      // A Deployment: what the repair controller deletes is made anew.
      await kube.apply(batchOf(name, size, url));
      const pods = await eventually(
        `${size} pods of ${name}`,
        async () => {
          const running = (await kube.pods(`app=${name}`)).filter(
            ({ status }) => status.containerStatuses?.every(({ ready }) => ready) === true,
          );
          return running.length === size && running;
        },
        { timeoutMs: BATCH_TIMEOUT_MS, everyMs: 1000 },
      );
      for (const pod of pods) if (!(await isMeshed(kube, pod))) unmeshed.push(pod.metadata.name);
      repaired += (await kube.events()).filter(
        ({ reason, involvedObject: object }) => reason === 'LinkerdCNINotConfigured' && object.name.startsWith(name),
      ).length;
      started += size;
      await kube.kubectl(['delete', 'deployment', name, '--wait=false']);
    }
  } finally {
    abort.abort();
  }
  return { started, unmeshed, repaired, rewrites: await disturbing };
}

/** Whether all that the application said, from its very first request on, went through its proxy: the server saw the pod's identity. */
async function isMeshed(kube: Kube, pod: Pod): Promise<boolean> {
  const answers = (await kube.logs(pod.metadata.name, { container: 'app' })).split('\n').filter((line) => line.startsWith('{'));
  return answers.length > 0 && answers.every((answer) => answer.includes('"l5d-client-id":"default.'));
}

function batchOf(name: string, replicas: number, url: string): object {
  const container = {
    name: 'app',
    image: APP_IMAGE,
    imagePullPolicy: 'IfNotPresent',
    command: ['sh', '-c', `until curl -sSf -m 5 ${url}; do sleep 1; done; touch /tmp/asked; sleep 100000`],
    readinessProbe: { exec: { command: ['cat', '/tmp/asked'] }, periodSeconds: 1 },
  };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec: { terminationGracePeriodSeconds: 1, containers: [container] } },
    },
  };
}

/**
 * Restarts the plugin's DaemonSet again and again, and between two restarts writes the node's original configuration back, as another CNI's installer
 * does. Resolves with the number of rewrites.
 */
export function disturbing(cni: Kube, original: string): (signal: AbortSignal) => Promise<number> {
  return async (signal) => {
    let rewrites = 0;
    while (!signal.aborted) {
      await cni.kubectl(['rollout', 'restart', 'daemonset/linkerd-cni']);
      for (let i = 0; i < REWRITES_PER_RESTART && !signal.aborted; i++) {
        await sleep(REWRITE_EVERY_MS);
        for (const { name } of cni.cluster.nodes) {
          await onNode(cni, name, `cat > ${CONFLIST}.new && mv ${CONFLIST}.new ${CONFLIST}`, original);
          rewrites += 1;
        }
      }
    }
    return rewrites;
  };
}

/** Installs the plugin, then a mesh that relies on it; resolves when both run. */
export async function installCniMesh(kube: Kube): Promise<void> {
  await kube.cluster.loadImages([imageArchive('cni')]);
  await kube.apply(await printed(kube, INSTALL_CNI));
  await kube.in('linkerd-cni').rollout('daemonset/linkerd-cni');
  await installMesh(kube, { args: ['--linkerd-cni-enabled'] });
}

/** The node's network configuration as it is now. */
export async function conflist(kube: Kube, node: string): Promise<string> {
  return onNode(kube, node, `cat ${CONFLIST}`);
}

/** Runs a shell command on a node. Throws where it fails. */
export async function onNode(kube: Kube, node: string, script: string, input?: string): Promise<string> {
  return output(kube.cluster.nodeCommand(node, ['sh', '-c', script]), input === undefined ? {} : { input });
}
