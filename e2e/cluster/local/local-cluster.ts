// SPDX-License-Identifier: Apache-2.0
/*
 * The provider `local`: Kubernetes' own binaries as processes of this machine. A node is a set of namespaces (network, mounts, processes) whose first
 * process runs a script; killing it ends the node whole. Everything else that is made (links, cgroups, one directory) is found by the cluster's name,
 * so a start can first remove what a killed run left. Needs root, Linux, and the Debian packages of SYSTEM_COMMANDS.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { Resolver } from 'node:dns/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { buildGoTools, goTool, type GoToolSet } from '../../../tools/go-tools.ts';
import type { Cluster, ClusterNode, ClusterRequest } from '../cluster.ts';
import { makeTestImages } from '../images/test-images.ts';
import { leftCgroups, makeCgroups, removeCgroups } from './cgroups.ts';
import { writeCertificates } from './certificates.ts';
import {
  cniConfiguration,
  CNI_PLUGINS,
  CONTAINERD_SOCKET,
  containerdConfiguration,
  coreDnsObjects,
  kubeletConfiguration,
  kubeProxyConfiguration,
} from './configuration.ts';
import { makeBridge, plugNode, removeLinks } from './network.ts';
import { imagesReadyFile, networkReadyFile, nodeScript, SHADOWED_SYSCTLS, shadowFile, type NodeImages } from './node-script.ts';
import { CLUSTER_DOMAIN, MAX_NODES, planCluster, type ClusterPlan, type NodePlan } from './plan.ts';
import { isAlive, nodeScriptFile, processesOfNode, processName, readRecord, writeRecord, type ProcessName } from './record.ts';

const run = promisify(execFile);

/** Commands that nodes need of the machine, and their Debian packages. */
export const SYSTEM_COMMANDS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  nsenter: 'util-linux',
  openssl: 'openssl',
  runc: 'runc',
  [`..${CNI_PLUGINS}/bridge`]: 'containernetworking-plugins',
  busybox: 'busybox-static',
  nft: 'nftables',
  'iptables-nft': 'iptables',
  conntrack: 'conntrack',
  sysctl: 'procps',
  tcpdump: 'tcpdump',
  curl: 'curl',
  'redis-server': 'redis-server',
  // For the launcher of the images.
  gcc: 'gcc',
};
const TOOL_SETS: readonly GoToolSet[] = ['kubernetes', 'coredns', 'containerd'];

/** Each step of a start takes a second or two on an idle machine; a busy one may take this long for any of them. */
const STEP_TIMEOUT_MS = 120_000;
const POLL_MS = 50;
/** Killed processes are gone at once, unless the kernel still writes what they had open. */
const KILL_TIMEOUT_MS = 10_000;
const LOG_TAIL_LINES = 5;

/** Makes a cluster. Throws where its number is in use, or the machine lacks something, or a component does not come up. */
export async function createLocalCluster(request: ClusterRequest): Promise<Cluster> {
  const { index, nodes, ipFamily, images, log = ignore } = request;
  const plan = planCluster(index, nodes, ipFamily);
  if (process.platform !== 'linux' || process.getuid?.() !== 0) throw new Error('a local cluster needs root on Linux');
  await buildGoTools(TOOL_SETS, log);
  // Without nodes nothing runs from an image.
  const made = nodes === 0 ? { system: [], others: [] } : makeTestImages(true);
  await removeLeftovers(plan, log);
  claim(plan, request);
  const startedMs = performance.now();
  const step = (line: string): void => log(`${((performance.now() - startedMs) / 1000).toFixed(1)} s ${line}`);
  try {
    await Promise.all([
      writeCertificates(plan),
      writeConfiguration(plan, { system: made.system, others: images ?? made.others }),
      makeBridge(plan),
    ]);
    for (const node of plan.nodes) await startNode(plan, node);
    writeFileSync(networkReadyFile(plan), '');
    await waitForControlPlane(plan, step);
    if (nodes > 0) await waitForNodes(plan, step);
    return clusterOf(plan);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const logs = logTails(plan);
    await destroyLocalCluster(plan);
    throw new Error(`cluster ${plan.name} did not start: ${reason}\n${logs}`, { cause: error });
  }
}

/** A cluster that runs already. */
export async function attachLocalCluster(index: number): Promise<Cluster> {
  const name = planCluster(index, 1, 'ipv4');
  const record = readRecord(name);
  if (record === undefined || !Object.values(record.nodes).some(isAlive)) throw new Error(`no cluster ${name.name} runs: npm run cluster`);
  return clusterOf(planCluster(index, record.nodeCount, record.ipFamily));
}

/** Removes cluster `index`, whatever state it is in. Returns whether there was anything. */
export async function removeLocalCluster(index: number): Promise<boolean> {
  const plan = planCluster(index, MAX_NODES, 'dual');
  const existed = existsSync(plan.directory) || leftCgroups(plan).length > 0;
  await destroyLocalCluster(plan);
  return existed;
}

/** Names of what of a cluster is on this machine: processes, links, cgroups, directories. Empty once it is destroyed. */
export async function tracesOfLocalCluster(index: number): Promise<readonly string[]> {
  const plan = planCluster(index, MAX_NODES, 'dual');
  const { stdout } = await run('ip', ['-o', 'link', 'show']);
  const links = [plan.bridge, ...plan.nodes.map((node) => node.link)].filter((name) => new RegExp(` ${name}[@:]`).test(stdout));
  const processes = plan.nodes.flatMap((node) => processesOfNode(plan, node).map((pid) => `process ${pid}`));
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`${plan.directory}/`));
  return [...processes, ...links, ...leftCgroups(plan), ...mounts, ...(existsSync(plan.directory) ? [plan.directory] : [])];
}

async function removeLeftovers(plan: ClusterPlan, log: (line: string) => void): Promise<void> {
  const record = readRecord(plan);
  const isRunning = record !== undefined && Object.values(record.nodes).some(isAlive);
  if (isRunning && record.isKept) throw new Error(`cluster ${plan.name} is up and kept: npm run cluster -- down --index ${plan.index}`);
  if (record !== undefined && isAlive(record.maker) && record.maker.pid !== process.pid)
    throw new Error(`cluster ${plan.name} belongs to process ${record.maker.pid}: choose another number`);
  if (isRunning && record.maker.pid === process.pid) throw new Error(`cluster ${plan.name} is up: destroy it first`);
  if (await removeLocalCluster(plan.index)) log(`removed what an earlier ${plan.name} had left`);
}

/** Takes the cluster's number: only one process can rename its directory into place. */
function claim(plan: ClusterPlan, { isKept = false, makerPid = process.pid }: ClusterRequest): void {
  const maker = processName(makerPid);
  if (maker === undefined) throw new Error(`there is no process ${makerPid} in /proc to own a cluster`);
  const claimed = `${plan.directory}.${process.pid}`;
  mkdirSync(claimed, { recursive: true, mode: 0o700 });
  writeRecord(claimed, { nodeCount: plan.nodeCount, ipFamily: plan.ipFamily, isKept, maker, nodes: {} });
  try {
    renameSync(claimed, plan.directory);
  } catch (error) {
    rmSync(claimed, { recursive: true, force: true });
    throw new Error(`cluster ${plan.name} was taken by another process just now`, { cause: error });
  }
}

async function writeConfiguration(plan: ClusterPlan, images: NodeImages): Promise<void> {
  const conf = join(plan.directory, 'conf');
  mkdirSync(conf, { recursive: true });
  const write = (name: string, content: string | object): void =>
    writeFileSync(join(conf, name), typeof content === 'string' ? content : JSON.stringify(content));
  write('resolv.conf', '');
  write('kube-proxy.json', kubeProxyConfiguration(plan));
  write('coredns.json', coreDnsObjects(plan));
  for (const [name, value] of Object.entries(SHADOWED_SYSCTLS)) write(shadowFile(name), `${value}\n`);
  for (const node of plan.nodes) {
    for (const directory of ['kubelet', 'containerd', 'podlogs', 'cni']) mkdirSync(join(node.directory, directory), { recursive: true });
    mkdirSync(join(plan.directory, 'log', node.name), { recursive: true });
    write(`${node.name}-containerd.toml`, containerdConfiguration(node));
    write(`${node.name}-cni.json`, cniConfiguration(node));
    write(`${node.name}-kubelet.json`, kubeletConfiguration(plan, node));
    writeFileSync(nodeScriptFile(plan, node), nodeScript(plan, node, images));
    if (plan.nodeCount > 0) makeCgroups(node);
  }
}

/** Starts a node's first process, which then waits for its link. */
async function startNode(plan: ClusterPlan, node: NodePlan): Promise<void> {
  const output = openSync(join(plan.directory, 'log', `${node.name}.log`), 'a');
  const namespaces = ['--net', '--uts', '--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child', '--mount-proc'];
  const child = spawn('unshare', [...namespaces, 'bash', nodeScriptFile(plan, node)], {
    detached: true,
    stdio: ['ignore', output, output],
  });
  closeSync(output);
  child.unref();
  const pid = await until(`${node.name} has namespaces`, () => {
    if (child.pid === undefined || child.exitCode !== null) throw new Error(`unshare ended with ${child.exitCode}`);
    const first = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim());
    // Between fork and exec it still is unshare.
    return first > 0 && readFileSync(`/proc/${first}/cmdline`, 'utf8').startsWith('bash\0') ? first : undefined;
  });
  const name = processName(pid);
  if (name === undefined) throw new Error(`${node.name} ended at once`);
  const record = readRecord(plan);
  if (record === undefined) throw new Error(`${plan.directory} was removed by someone else`);
  writeRecord(plan.directory, { ...record, nodes: { ...record.nodes, [node.name]: name } });
  await plugNode(plan, node, pid);
}

async function waitForControlPlane(plan: ClusterPlan, step: (line: string) => void): Promise<void> {
  await until('the API server is ready', async () => ((await isApiReady(plan)) ? true : undefined));
  step('API server ready');
  await until('the controllers work', async () => {
    const { stdout } = await kubectl(plan, 'get', 'serviceaccount', 'default', '--ignore-not-found', '-o', 'name');
    return stdout === '' ? undefined : true;
  });
}

async function waitForNodes(plan: ClusterPlan, step: (line: string) => void): Promise<void> {
  for (const node of plan.nodes) {
    const ranges = JSON.stringify({ spec: { podCIDR: node.podRanges[0], podCIDRs: node.podRanges } });
    await until(`${node.name} registers`, async () =>
      kubectl(plan, 'patch', 'node', node.name, '-p', ranges).then(
        () => true,
        () => undefined,
      ),
    );
  }
  await kubectl(plan, 'apply', '-f', join(plan.directory, 'conf/coredns.json'));
  await kubectl(plan, 'wait', '--for=condition=Ready', 'node', '--all', `--timeout=${STEP_TIMEOUT_MS}ms`);
  step(`${plan.nodeCount} nodes ready`);
  const resolver = new Resolver({ timeout: 300, tries: 1 });
  resolver.setServers([plan.dnsAddress]);
  await until('DNS answers', async () =>
    resolver.resolve4(`kubernetes.default.svc.${CLUSTER_DOMAIN}`).then(
      ([address]) => (address === plan.apiServiceAddress ? true : undefined),
      () => undefined,
    ),
  );
  step('DNS answers');
  for (const node of plan.nodes) await until(`${node.name} has the images`, () => (existsSync(imagesReadyFile(node)) ? true : undefined));
}

function clusterOf(plan: ClusterPlan): Cluster {
  const commandIn = (node: NodePlan, argv: readonly string[]): readonly string[] => {
    const first = readRecord(plan)?.nodes[node.name];
    if (first === undefined || !isAlive(first)) throw new Error(`${node.name} of ${plan.name} does not run`);
    return ['nsenter', '-t', String(first.pid), '-n', '-u', '-m', '-p', '-r', '-w', ...argv];
  };
  const nodeOf = (name: string): NodePlan => {
    const node = plan.nodes.find((candidate) => candidate.name === name);
    if (node === undefined) throw new Error(`${plan.name} has no node ${name}`);
    return node;
  };
  const nodes: readonly ClusterNode[] = plan.nodeCount === 0 ? [] : plan.nodes;
  return {
    name: plan.name,
    provider: 'local',
    kubeconfig: plan.kubeconfig,
    kubectl: goTool('kubernetes', 'kubectl'),
    nodes: nodes.map(({ name, zone, addresses }) => ({ name, zone, addresses })),
    hostAddress: plan.hostAddresses[0],
    nodeCommand: (name, argv) => commandIn(nodeOf(name), argv),
    loadImages: async (archives) => {
      const ctr = [goTool('containerd', 'ctr'), '-a', CONTAINERD_SOCKET, '-n', 'k8s.io', 'images', 'import'];
      await Promise.all(
        nodes.map(async ({ name }) => {
          for (const archive of archives) {
            const [command = '', ...args] = commandIn(nodeOf(name), [...ctr, archive]);
            await run(command, args);
          }
        }),
      );
    },
    killNode: async (name) => killNode(plan, nodeOf(name)),
    destroy: async () => destroyLocalCluster(plan),
  };
}

/** Kills a node's processes and waits until the last process of its namespace is gone. */
async function killNode(plan: ClusterPlan, node: NodePlan): Promise<void> {
  // While the kernel ends the others, the first one has lost its command line, but not yet its place.
  const killed = new Map<number, ProcessName>();
  await until(
    `${node.name} is gone`,
    () => {
      for (const pid of processesOfNode(plan, node)) {
        const name = processName(pid);
        if (name === undefined) continue;
        killed.set(pid, name);
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended by itself.
        }
      }
      return [...killed.values()].some(isAlive) ? undefined : true;
    },
    KILL_TIMEOUT_MS,
  );
}

async function destroyLocalCluster(plan: ClusterPlan): Promise<void> {
  const whole = planCluster(plan.index, MAX_NODES, 'dual');
  for (const node of whole.nodes) await killNode(whole, node);
  await removeLinks(whole);
  await until(
    'the cgroups are empty',
    () => {
      try {
        removeCgroups(whole);
        return true;
      } catch {
        return undefined;
      }
    },
    KILL_TIMEOUT_MS,
  );
  rmSync(whole.directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}

async function kubectl(plan: ClusterPlan, ...args: readonly string[]): Promise<{ readonly stdout: string }> {
  return run(goTool('kubernetes', 'kubectl'), ['--kubeconfig', plan.kubeconfig, ...args]);
}

/** Asks without kubectl, which takes long to give up. */
async function isApiReady(plan: ClusterPlan): Promise<boolean> {
  const pki = (file: string): Buffer => readFileSync(join(plan.directory, 'pki', file));
  return new Promise((resolve) => {
    const asked = httpsRequest(
      `${plan.apiUrl}/readyz`,
      { ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key'), agent: false, timeout: 1000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200);
      },
    );
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}

async function until<T>(what: string, probe: () => T | undefined | Promise<T | undefined>, timeoutMs = STEP_TIMEOUT_MS): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== undefined) return value;
    if (performance.now() > deadlineMs) throw new Error(`${timeoutMs / 1000} s were not enough until ${what}`);
    await sleep(POLL_MS);
  }
}

/** The last lines of each component's output, for the one who reads why a start failed. */
function logTails(plan: ClusterPlan): string {
  const directory = join(plan.directory, 'log');
  if (!existsSync(directory)) return '';
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.log'))
    .map((name) => `${name}:\n${readFileSync(join(directory, name), 'utf8').trimEnd().split('\n').slice(-LOG_TAIL_LINES).join('\n')}`)
    .join('\n');
}

function ignore(): void {}
