// SPDX-License-Identifier: Apache-2.0
/*
 * What a test does with a cluster: one object bound to a namespace, over kubectl. Methods that change or wait throw with kubectl's own words; those that
 * ask give values. Targets are written as kubectl writes them: a pod's name, or `deploy/web`.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Cluster } from '../cluster.ts';
import { output, runCommand, type CommandOptions, type CommandResult } from './command.ts';
import { eventually } from './eventually.ts';
import type { Answer, Container, KubeEvent, KubeObject, Manifest, Pod } from './objects.ts';

/** Rollouts start pods one after another, and each may wait for a starved machine. */
const ROLLOUT_TIMEOUT_MS = 180_000;
const GONE_TIMEOUT_MS = 120_000;
/** What curl is given for a whole exchange, in seconds. */
const CURL_TIMEOUT_S = 10;

export interface ExecOptions extends CommandOptions {
  readonly container?: string;
}

export interface CurlOptions {
  readonly container?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Further arguments, e.g. `['--http2-prior-knowledge']`. */
  readonly args?: readonly string[];
}

/** A local port that leads into the cluster. */
export interface PortForward {
  readonly port: number;
  close(): void;
}

export class Kube {
  readonly cluster: Cluster;
  readonly namespace: string;

  constructor(cluster: Cluster, namespace = 'default') {
    this.cluster = cluster;
    this.namespace = namespace;
  }

  /** The same cluster, another namespace. */
  in(namespace: string): Kube {
    return new Kube(this.cluster, namespace);
  }

  /** A new namespace `PREFIX-xxxx`, with its default service account there. */
  async createNamespace(
    prefix: string,
    metadata: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> } = {},
  ): Promise<Kube> {
    const created = this.in(`${prefix}-${randomBytes(2).toString('hex')}`);
    await this.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: created.namespace, ...metadata } });
    await eventually('the default service account', async () => created.get('serviceaccount', 'default'));
    return created;
  }

  /** Deletes this namespace with everything in it. `isAwaited: false` lets it go while other tests run. */
  async deleteNamespace(isAwaited = true): Promise<void> {
    await this.kubectl(['delete', 'namespace', this.namespace, '--ignore-not-found', `--wait=${isAwaited}`], {
      timeoutMs: GONE_TIMEOUT_MS,
    });
  }

  /** The whole command line of a kubectl call in this namespace. */
  kubectlCommand(args: readonly string[]): readonly string[] {
    // Told the namespace by a flag, kubectl refuses objects that name another one; `default` is where it works untold.
    const namespace = this.namespace === 'default' ? [] : ['--namespace', this.namespace];
    return [this.cluster.kubectl, '--kubeconfig', this.cluster.kubeconfig, ...namespace, ...args];
  }

  /** Runs kubectl and resolves with its output. Throws where it fails. */
  async kubectl(args: readonly string[], options: CommandOptions = {}): Promise<string> {
    return output(this.kubectlCommand(args), options);
  }

  /** Runs kubectl and resolves with its status: for calls that a test expects to fail. */
  async tryKubectl(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
    return runCommand(this.kubectlCommand(args), options);
  }

  /** Applies YAML text or objects, server-side, as one field manager. */
  async apply(...manifests: readonly Manifest[]): Promise<string> {
    return this.kubectl(['apply', '--server-side', '--force-conflicts', '-f', '-'], { input: manifestText(manifests) });
  }

  /** What the API server says to an application that a test expects it to refuse (or, with `dry-run`, would say). */
  async tryApply(manifests: readonly Manifest[], args: readonly string[] = []): Promise<CommandResult> {
    return this.tryKubectl(['apply', '--server-side', '-f', '-', ...args], { input: manifestText(manifests) });
  }

  /** Deletes YAML text or objects, and waits until they are gone. Absent ones are no error. */
  async remove(...manifests: readonly Manifest[]): Promise<void> {
    await this.kubectl(['delete', '--ignore-not-found', '-f', '-'], { input: manifestText(manifests), timeoutMs: GONE_TIMEOUT_MS });
  }

  /** One object; undefined where it does not exist. */
  async get<T = KubeObject>(kind: string, name: string): Promise<T | undefined> {
    const text = await this.kubectl(['get', kind, name, '--ignore-not-found', '-o', 'json']);
    return text === '' ? undefined : (JSON.parse(text) as T);
  }

  /** All objects of a kind in this namespace. */
  async list<T = KubeObject>(kind: string, selector = ''): Promise<readonly T[]> {
    return (JSON.parse(await this.kubectl(['get', kind, '-l', selector, '-o', 'json'])) as { readonly items: readonly T[] }).items;
  }

  /** The pods of a selector that are not on their way out. */
  async pods(selector = ''): Promise<readonly Pod[]> {
    return (await this.list<Pod>('pods', selector)).filter((pod) => pod.metadata.deletionTimestamp === undefined);
  }

  /** The one pod of a selector. Throws for none or several. */
  async pod(selector: string): Promise<Pod> {
    const pods = await this.pods(selector);
    const [only] = pods;
    if (only === undefined || pods.length > 1) throw new Error(`${pods.length} pods have ${selector} in ${this.namespace}`);
    return only;
  }

  /** `waitFor('pod/client', 'condition=Ready')`, as `kubectl wait --for`. */
  async waitFor(target: string, condition: string, timeoutMs = ROLLOUT_TIMEOUT_MS): Promise<void> {
    await this.kubectl(['wait', target, `--for=${condition}`, `--timeout=${timeoutMs}ms`], { timeoutMs: timeoutMs + 5000 });
  }

  /** Waits until the newest pods of a workload run and the old ones are out of use. */
  async rollout(target: string, timeoutMs = ROLLOUT_TIMEOUT_MS): Promise<void> {
    await this.kubectl(['rollout', 'status', target, `--timeout=${timeoutMs}ms`], { timeoutMs: timeoutMs + 5000 });
  }

  /** Replaces the pods of a workload, and waits for that. */
  async restart(target: string, timeoutMs = ROLLOUT_TIMEOUT_MS): Promise<void> {
    await this.kubectl(['rollout', 'restart', target]);
    await this.rollout(target, timeoutMs);
  }

  /** Waits until no pod has the selector, terminating ones included. */
  async podsGone(selector: string, timeoutMs = GONE_TIMEOUT_MS): Promise<void> {
    await eventually(`no pod has ${selector}`, async () => (await this.list('pods', selector)).length === 0, { timeoutMs });
  }

  /** Sets annotations; null removes one. */
  async annotate(target: string, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.kubectl(['annotate', '--overwrite', target, ...assignments(annotations)]);
  }

  /** Sets labels; null removes one. */
  async label(target: string, labels: Readonly<Record<string, string | null>>): Promise<void> {
    await this.kubectl(['label', '--overwrite', target, ...assignments(labels)]);
  }

  /** Runs a command in a pod. Its exit status is in the result. */
  async exec(target: string, argv: readonly string[], { container, ...options }: ExecOptions = {}): Promise<CommandResult> {
    // Which container is the default one is no part of what the command says.
    const args = ['exec', '--quiet', ...(options.input === undefined ? [] : ['-i']), target, ...chosen(container), '--', ...argv];
    return this.tryKubectl(args, options);
  }

  /** Asks a URL from within a pod whose image has curl. Throws where there is no HTTP answer at all. */
  async curl(target: string, url: string, { container, headers = {}, args = [] }: CurlOptions = {}): Promise<Answer> {
    const fields = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
    const curl = ['curl', '-sS', '-m', String(CURL_TIMEOUT_S), '-D', '/dev/stderr', ...fields, ...args, url];
    const { code, stdout, stderr } = await this.exec(target, curl, container === undefined ? {} : { container });
    // Interim answers come with a head of their own.
    const head = stderr.split(/\r?\n\r?\n/).findLast((block) => block.startsWith('HTTP/')) ?? '';
    const [statusLine = '', ...lines] = head.split(/\r?\n/);
    if (code !== 0 || statusLine === '') throw new Error(`${target}: curl ${url} ended with ${code}: ${stderr.trim()}`);
    const answered = lines.map((line): [string, string] => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]);
    return { status: Number(statusLine.split(' ')[1]), headers: Object.fromEntries(answered), body: stdout };
  }

  /** The log of a container. */
  async logs(
    target: string,
    { container, isPrevious = false }: { readonly container?: string; readonly isPrevious?: boolean } = {},
  ): Promise<string> {
    return this.kubectl(['logs', target, ...chosen(container), `--previous=${isPrevious}`]);
  }

  /** The events of this namespace, of one object (`Pod/web-1`) where one is named. */
  async events(about?: string): Promise<readonly KubeEvent[]> {
    const events = await this.list<KubeEvent>('events');
    return events.filter(({ involvedObject: object }) => about === undefined || about === `${object.kind}/${object.name}`);
  }

  /** Opens a local port to a port of a pod, Service or workload. */
  async portForward(target: string, port: number): Promise<PortForward> {
    const [name = '', ...args] = this.kubectlCommand(['port-forward', target, `:${port}`]);
    const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
    try {
      const local = await eventually(`a port to ${target}:${port}`, () => {
        if (child.exitCode !== null) throw new Error(said);
        return /Forwarding from 127\.0\.0\.1:(\d+)/.exec(said)?.[1];
      });
      return { port: Number(local), close: () => child.kill() };
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** For the one who reads a failure: pods, their containers' ends of logs, and events of this namespace. */
  async report(logLines = 15): Promise<string> {
    const { stdout: pods } = await this.tryKubectl(['get', 'pods', '-o', 'wide']);
    const { stdout: events } = await this.tryKubectl(['get', 'events', '--sort-by=.lastTimestamp']);
    const logs: string[] = [];
    for (const pod of await this.list<Pod>('pods').catch(() => []))
      for (const { name } of allContainers(pod)) {
        const { stdout, stderr } = await this.tryKubectl(['logs', pod.metadata.name, '-c', name, `--tail=${logLines}`]);
        logs.push(`--- ${pod.metadata.name} ${name}\n${(stdout + stderr).trim()}`);
      }
    return [`=== namespace ${this.namespace}`, pods.trim(), events.trim(), ...logs].join('\n');
  }
}

/** Init containers, then containers, in the order in which they start. */
export function allContainers(pod: Pod): readonly Container[] {
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers];
}

function manifestText(manifests: readonly Manifest[]): string {
  return manifests.map((manifest) => (typeof manifest === 'string' ? manifest : JSON.stringify(manifest))).join('\n---\n');
}

function assignments(values: Readonly<Record<string, string | null>>): readonly string[] {
  return Object.entries(values).map(([name, value]) => (value === null ? `${name}-` : `${name}=${value}`));
}

const chosen = (container: string | undefined): readonly string[] => (container === undefined ? [] : ['-c', container]);
