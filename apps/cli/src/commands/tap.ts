// SPDX-License-Identifier: Apache-2.0
/*
 * `weft tap` (features CLI-52): requests of workloads as they happen, seen by their proxies. Each proxy is asked for so many requests, and asked
 * again every second, so that it has nothing to do for the rest of a second in which it has shown its share.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { ConfigMapKind, PodKind, ResourceError, type Pod } from '@weft/resources';
import type { TapEvent } from '@weft/proto/tap';
import { CommandFailure, type CommandContext } from '../command-context.ts';
import { namespaceName } from '../global-options.ts';
import { parseResource } from '../inspect/resource-argument.ts';
import type { ScopedResource } from '../inspect/traffic-query.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import { type MeshPod, readPods, rowName } from '../inspect/workloads.ts';
import { connectHostRun } from '../kube/connect-host-run.ts';
import type { Cluster } from '../kube/cluster.ts';
import { TapConnection, type TapTarget } from '../tap/observe-call.ts';
import { type TapCredentials, type TapPeer, tapCredentials, tapPeer } from '../tap/tap-identity.ts';
import { observeRequest, type TapFilter } from '../tap/tap-query.ts';
import { type PodLabels, tapJson, tapLine } from '../tap/tap-render.ts';

export interface TapOptions {
  readonly namespace?: string;
  readonly selector?: string;
  readonly to?: string;
  readonly toNamespace?: string;
  readonly maxRps: number;
  readonly method?: string;
  readonly scheme?: string;
  readonly authority?: string;
  readonly path?: string;
  readonly output?: 'wide' | 'json';
  readonly run?: string;
}

/** The proxy's tap port. */
const TAP_PORT = 4190;
/** How often a proxy is asked anew. */
const WINDOW_MS = 1000;
/** Pods that are tapped at one time. */
export const MAX_TAPPED_PODS = 64;
const UNAUTHENTICATED = 16;
const ANCHORS = 'linkerd-identity-trust-roots';

/** Flags and action. */
export function define(command: Command, context: CommandContext): void {
  command
    .argument('<resource...>', 'kind or kind/name: ns, po, deploy, sts, ds, job, …')
    .option('-n, --namespace <namespace>', "namespace; default: that of the kubeconfig's context", namespaceName)
    .option('-l, --selector <labels>', 'only pods with these labels')
    .option('--to, --to-resource <resource>', 'only requests to this, such as deploy/web or svc/web')
    .option('--to-namespace <namespace>', 'only requests to this namespace; with --to, where that is', namespaceName)
    .addOption(new Option('--max-rps <number>', 'requests a second, over all pods').argParser(parseRate).default(100))
    .option('--method <method>', 'only requests with this method')
    .option('--scheme <scheme>', 'only requests with this scheme')
    .option('--authority <prefix>', 'only requests whose authority begins so')
    .option('--path <prefix>', 'only requests whose path begins so')
    .addOption(new Option('-o, --output <format>', 'more of both ends, or all of it').choices(['wide', 'json']))
    .option('--run <name>', 'tap a mesh of `weft run` on this machine, as root')
    .action(async (words: string[], given: TapOptions & { readonly toResource?: string }) => {
      const options = given.toResource === undefined ? given : { ...given, to: given.toResource };
      const stop = new AbortController();
      const end = (): void => stop.abort();
      process.once('SIGINT', end).once('SIGTERM', end);
      const work = (cluster: Cluster, controlPlane: string): Promise<void> =>
        tap(cluster, controlPlane, words, options, context, stop.signal);
      if (options.run === undefined) {
        await withCluster(context, (cluster, { linkerdNamespace }) => work(cluster, linkerdNamespace));
        return;
      }
      const cluster = await connectHostRun(options.run);
      try {
        await work(cluster, context.globals().linkerdNamespace);
      } finally {
        cluster.close();
      }
    });
}

/** Taps until `signal`. Rejects with CommandFailure when nothing can be tapped. */
export async function tap(
  cluster: Cluster,
  controlPlane: string,
  words: readonly string[],
  options: TapOptions,
  { out, err }: Pick<CommandContext, 'out' | 'err'>,
  signal: AbortSignal,
): Promise<void> {
  const subject: ScopedResource = { ...parseResource(words), namespace: options.namespace ?? cluster.defaultNamespace };
  if (subject.kind === 'service') throw new CommandFailure('services cannot be tapped; tap their clients with --to svc/…');
  const filter = filterOf(options, subject.namespace);
  const pods = await knownPods(cluster, controlPlane, subject);
  const raw = await tappedPods(cluster, pods, subject, options.selector);
  const targets = raw.flatMap((pod) => {
    const peer = tapPeer(pod);
    return peer === undefined ? [] : [{ pod, peer }];
  });
  if (targets.length === 0) {
    throw new CommandFailure(
      raw.length === 0
        ? `no running pods with a proxy match ${words.join(' ')} in namespace ${subject.namespace ?? ''}`
        : 'nobody may tap these pods: install with tap.enabled=true, and restart them',
    );
  }
  if (targets.length > MAX_TAPPED_PODS) throw new CommandFailure(`${targets.length} pods match; at most ${MAX_TAPPED_PODS} can be tapped`);
  const podLabels = await labelsByAddress(cluster, pods);
  const show = (event: TapEvent): void => {
    out(
      `${options.output === 'json' ? tapJson(event, podLabels) : tapLine(event, podLabels, options.output === 'wide' ? subject.kind : undefined)}\n`,
    );
  };
  const limit = Math.max(1, Math.floor(options.maxRps / targets.length));
  const credentials = new Map<string, Promise<TapCredentials>>();
  const failures = await Promise.all(
    targets.map(async ({ pod, peer }) => {
      try {
        let own = credentials.get(peer.clientName);
        if (own === undefined) {
          own = tapCredentials(cluster, controlPlane, peer.clientName);
          credentials.set(peer.clientName, own);
        }
        const shown = await own;
        const target = await targetOf(cluster, controlPlane, pod, peer);
        await tapPod(cluster, target, pod, shown, observeRequest(filter, limit, options.output === 'json'), show, signal);
        return undefined;
      } catch (error) {
        if (signal.aborted) return undefined;
        err(`cannot tap ${pod.metadata.namespace}/${pod.metadata.name}: ${error instanceof Error ? error.message : String(error)}\n`);
        return error;
      }
    }),
  );
  if (!signal.aborted && failures.every((failure) => failure !== undefined)) throw new CommandFailure('no pod could be tapped');
}

/** Asks one proxy again and again. Rejects when it refuses or goes. */
async function tapPod(
  cluster: Cluster,
  target: Omit<TapTarget, 'host' | 'port'>,
  pod: Pod,
  credentials: TapCredentials,
  request: ReturnType<typeof observeRequest>,
  show: (event: TapEvent) => void,
  signal: AbortSignal,
): Promise<void> {
  const forward = await cluster.portForward(pod.metadata.namespace, pod.metadata.name, TAP_PORT);
  try {
    const connection = await TapConnection.open({ ...target, host: forward.host, port: forward.port }, credentials);
    try {
      while (!signal.aborted) {
        const beganMs = performance.now();
        const { status, message } = await connection.observe(request, show, signal);
        if (signal.aborted) return;
        if (status === UNAUTHENTICATED) throw new Error(`the proxy refuses this client: ${message}`);
        if (status !== 0) throw new Error(message);
        const restMs = WINDOW_MS - (performance.now() - beganMs);
        if (restMs > 0) await sleep(restMs, undefined, { signal }).catch(() => undefined);
      }
    } finally {
      connection.close();
    }
  } finally {
    forward.close();
  }
}

async function targetOf(cluster: Cluster, controlPlane: string, pod: Pod, peer: TapPeer): Promise<Omit<TapTarget, 'host' | 'port'>> {
  const anchors = peer.trustAnchorsPem ?? (await cluster.get(ConfigMapKind, controlPlane, ANCHORS)).data?.['ca-bundle.crt'];
  if (anchors === undefined) throw new Error(`ConfigMap ${ANCHORS} has no trust anchors`);
  return { serverName: peer.serverName, trustAnchorsPem: anchors };
}

/** All pods, for the names of both ends; those of the namespace where a user may see no more. */
async function knownPods(cluster: Cluster, controlPlane: string, subject: ScopedResource): Promise<MeshPod[]> {
  try {
    return await readPods(cluster, controlPlane);
  } catch (error) {
    if (!(error instanceof ResourceError) || error.code !== 'ERR_FORBIDDEN') throw error;
    return readPods(cluster, controlPlane, subject.kind === 'namespace' ? subject.name : subject.namespace);
  }
}

async function tappedPods(
  cluster: Cluster,
  pods: readonly MeshPod[],
  subject: ScopedResource,
  selector: string | undefined,
): Promise<readonly Pod[]> {
  const namespace = subject.kind === 'namespace' ? subject.name : subject.namespace;
  const wanted = new Set(
    pods
      .filter((pod) => pod.isMeshed && pod.isRunning && (namespace === undefined || pod.namespace === namespace))
      .filter((pod) => rowName(pod, subject) !== undefined)
      .map((pod) => `${pod.namespace}/${pod.name}`),
  );
  const listed = await cluster.list(PodKind, {
    ...(namespace === undefined ? {} : { namespace }),
    ...(selector === undefined ? {} : { labelSelector: selector }),
  });
  return listed.filter(({ metadata }) => wanted.has(`${metadata.namespace}/${metadata.name}`));
}

function filterOf(options: TapOptions, namespace: string | undefined): TapFilter {
  const { to, toNamespace, method, scheme, authority, path } = options;
  return {
    ...(to === undefined ? {} : { to: { ...parseResource([to]), namespace: toNamespace ?? namespace } }),
    ...(toNamespace === undefined ? {} : { toNamespace }),
    ...(method === undefined ? {} : { method }),
    ...(scheme === undefined ? {} : { scheme }),
    ...(authority === undefined ? {} : { authority }),
    ...(path === undefined ? {} : { path }),
  };
}

/** What the cluster says of each pod's address, in the words of the proxies' labels. */
async function labelsByAddress(cluster: Cluster, pods: readonly MeshPod[]): Promise<PodLabels> {
  const byName = new Map(pods.map((pod) => [`${pod.namespace}/${pod.name}`, pod]));
  const byAddress = new Map<string, Readonly<Record<string, string>>>();
  const namespaces = new Set(pods.map(({ namespace }) => namespace));
  const scope = namespaces.size === 1 ? [...namespaces][0] : undefined;
  for (const { metadata, spec, status } of await cluster.list(PodKind, scope === undefined ? {} : { namespace: scope })) {
    const pod = byName.get(`${metadata.namespace}/${metadata.name}`);
    // Pods in their node's network share its address: nothing can be said of it.
    if (pod === undefined || spec?.hostNetwork === true) continue;
    const labels = { ...Object.fromEntries(pod.owners), serviceaccount: pod.serviceAccount };
    for (const { ip } of status?.podIPs ?? (status?.podIP === undefined ? [] : [{ ip: status.podIP }])) byAddress.set(ip, labels);
  }
  return (ip) => byAddress.get(ip) ?? {};
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!/^\d{1,6}$/.test(text) || rate === 0) throw new InvalidArgumentError('expected a whole number above zero.');
  return rate;
}
