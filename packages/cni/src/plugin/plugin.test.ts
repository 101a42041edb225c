// SPDX-License-Identifier: Apache-2.0
import type { CommandResult, Exec } from '@weft/redirect';
import { createMemorySource, NamespaceKind, PodKind, type ResourceInput, ResourceError, type ResourceSource } from '@weft/resources';
import { Logger } from '@weft/telemetry';
import { describe, expect, it } from 'vitest';
import { CNI_CODES, POD_ANNOTATIONS_CAPABILITY, runPlugin } from '../index.ts';

/** What the chart installs (proxy-contract §10.2). */
const LINKERD = {
  'incoming-proxy-port': 4143,
  'outgoing-proxy-port': 4140,
  'proxy-uid': 2102,
  'ports-to-redirect': [],
  'inbound-ports-to-ignore': ['4190', '4191', '4567', '4568'],
  'outbound-ports-to-ignore': ['4567', '4568'],
  simulate: false,
  'use-wait-flag': false,
  'iptables-mode': 'nft',
  ipv6: false,
};
const RESULT = { cniVersion: '1.0.0', interfaces: [{ name: 'eth0' }], ips: [{ address: '10.244.0.7/24' }], dns: {} };
const CONFIG = {
  cniVersion: '1.0.0',
  name: 'cluster',
  type: 'linkerd-cni',
  log_level: 'debug',
  kubernetes: { kubeconfig: '/etc/cni/net.d/ZZZ-linkerd-cni-kubeconfig' },
  linkerd: LINKERD,
  prevResult: RESULT,
};
const ENV = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c1',
  CNI_NETNS: '/run/netns/pod',
  CNI_IFNAME: 'eth0',
  CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID=c1',
};
const MESHED = { containers: [{ name: 'app' }], initContainers: [{ name: 'linkerd-proxy', restartPolicy: 'Always' }] };

interface World {
  readonly pod?: Partial<ResourceInput> & { readonly labels?: Record<string, string>; readonly annotations?: Record<string, string> };
  readonly spec?: unknown;
  readonly namespaceAnnotations?: Record<string, string>;
  readonly env?: Record<string, string | undefined>;
  readonly config?: Record<string, unknown>;
  readonly linkerd?: Record<string, unknown>;
  readonly exec?: Exec;
  /** Failures of the API server, one per attempt, before it answers. */
  readonly failures?: unknown[];
}

interface Result {
  readonly exitCode: number;
  readonly output: Record<string, unknown> | undefined;
  readonly commands: readonly string[];
  readonly log: string;
  readonly attempts: number;
}

async function run(world: World = {}): Promise<Result> {
  const source = createMemorySource();
  for (const [name, annotations] of [
    ['shop', world.namespaceAnnotations ?? {}],
    ['default', {}],
  ] as const) {
    await source.create(NamespaceKind, { apiVersion: 'v1', kind: 'Namespace', metadata: { name, annotations } }).catch(() => undefined);
  }
  await source.create(PodKind, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', namespace: 'shop', labels: world.pod?.labels ?? {}, annotations: world.pod?.annotations ?? {} },
    spec: world.spec ?? MESHED,
  });
  const commands: string[] = [];
  const failures = [...(world.failures ?? [])];
  let [nowMs, log, attempts] = [0, '', 0];
  const exec: Exec = (command, input) => {
    commands.push(command.join(' '), ...(input ?? '').split('\n').filter((line) => line !== ''));
    return world.exec?.(command) ?? Promise.resolve({ status: 0, stdout: '', stderr: '' });
  };
  const outcome = await runPlugin({
    env: { ...ENV, ...world.env },
    input: JSON.stringify({ ...CONFIG, ...world.config, linkerd: { ...LINKERD, ...world.linkerd } }),
    exec,
    world: {
      open: (): Promise<ResourceSource> => {
        attempts += 1;
        const failure = failures.shift();
        return failure === undefined ? Promise.resolve({ ...source, close: () => Promise.resolve() }) : Promise.reject(failure as Error);
      },
      now: () => nowMs,
      sleep: (delayMs) => Promise.resolve(void (nowMs += delayMs)),
      random: () => 0.5,
    },
    logger: (level) => Logger.create({ filter: level, write: (line) => (log += line) }),
  });
  await source.close();
  return { ...outcome, output: outcome.output === '' ? undefined : JSON.parse(outcome.output), commands, log, attempts };
}

const unavailable = (): ResourceError => new ResourceError('ERR_UNAVAILABLE', 'connect ECONNREFUSED 10.96.0.1:443');
const refusedToken = (): ResourceError => new ResourceError('ERR_FORBIDDEN', 'Unauthorized', { status: 401, reason: 'Unauthorized' });
const portsOf = (result: Result, chain: string): string[] =>
  result.commands.flatMap((line) => new RegExp(`-A ${chain} .*--dports (\\S+)`).exec(line)?.[1]?.split(',') ?? []);

describe('ADD', () => {
  it('[NET-08] [NET-09] sets the rules of a meshed pod in its namespace and passes the result on', async () => {
    const result = await run();
    expect(result.exitCode).toBe(0);
    expect(result.output).toEqual(RESULT);
    expect(result.commands[0]).toBe('nsenter --net=/run/netns/pod -- iptables-nft-save -t nat');
    expect(result.commands[1]).toBe('nsenter --net=/run/netns/pod -- iptables-nft-restore --noflush');
    expect(result.commands).toContain(
      '-A PROXY_INIT_OUTPUT -m owner --uid-owner 2102 -j RETURN -m comment --comment proxy-init/ignore-proxy-user-id',
    );
    expect(result.commands.filter((line) => line.includes('ip6tables'))).toEqual([]);
  });

  it('[NET-13] sets rules of both families where IPv6 is on', async () => {
    const { commands } = await run({ linkerd: { ipv6: true } });
    expect(commands.filter((line) => line.includes('ip6tables-nft'))).toHaveLength(2);
    expect(commands.filter((line) => line.startsWith('-A'))).toHaveLength(16);
  });

  const untouched: [string, World][] = [
    ['has no proxy', { spec: { containers: [{ name: 'app' }] } }],
    ['has an init container that does it', { spec: { ...MESHED, initContainers: [...MESHED.initContainers, { name: 'linkerd-init' }] } }],
    ['uses the network of the host', { spec: { ...MESHED, hostNetwork: true } }],
    ['is no pod of Kubernetes', { env: { CNI_ARGS: undefined } }],
  ];
  it.each(untouched)('[NET-09] leaves a container alone that %s', async (_name, world) => {
    const result = await run(world);
    expect([result.exitCode, result.output, result.commands]).toEqual([0, RESULT, []]);
  });

  it('[NET-09] takes a proxy among the ordinary containers as well', async () => {
    expect((await run({ spec: { containers: [{ name: 'app' }, { name: 'linkerd-proxy' }] } })).commands).not.toEqual([]);
  });

  it('[NET-05] only logs where it simulates', async () => {
    const result = await run({ linkerd: { simulate: true } });
    expect([result.exitCode, result.commands]).toEqual([0, []]);
    expect(result.log).toContain('iptables-nft -t nat -N PROXY_INIT_REDIRECT');
  });

  it('[NET-09] the annotations of a pod win over those of its namespace', async () => {
    const result = await run({
      pod: {
        annotations: {
          'config.linkerd.io/skip-outbound-ports': '3306, 9000-9010',
          'config.linkerd.io/proxy-uid': '7000',
          'config.linkerd.io/skip-subnets': '10.1.0.0/16',
        },
      },
      namespaceAnnotations: {
        'config.linkerd.io/skip-outbound-ports': '1',
        'config.linkerd.io/skip-inbound-ports': '8080',
        'config.linkerd.io/proxy-gid': '7001',
      },
    });
    // Outbound replaces what is configured, inbound adds to it.
    expect(portsOf(result, 'PROXY_INIT_OUTPUT')).toEqual(['3306', '9000:9010']);
    expect(portsOf(result, 'PROXY_INIT_REDIRECT')).toEqual(['4190', '4191', '4567', '4568', '8080']);
    const text = result.commands.join('\n');
    for (const words of ['--uid-owner 7000', '--gid-owner 7001', '-s 10.1.0.0/16']) expect(text).toContain(words);
  });

  it('[NET-07] pods of the control plane reach the API server directly', async () => {
    const result = await run({ pod: { labels: { 'linkerd.io/control-plane-component': 'destination' } } });
    expect(portsOf(result, 'PROXY_INIT_OUTPUT')).toEqual(['4567', '4568', '443', '6443']);
  });

  it('[NET-08] fails the sandbox of a meshed pod whose rules cannot be set', async () => {
    const broken: CommandResult = { status: 4, stdout: '', stderr: 'iptables-nft: Permission denied (you must be root)' };
    const result = await run({ exec: () => Promise.resolve(broken) });
    expect(result.exitCode).toBe(1);
    expect(result.output).toEqual({ cniVersion: '1.0.0', code: CNI_CODES.redirect, msg: expect.stringContaining('NET_ADMIN') });
  });

  it('[NET-09] fails for an annotation that cannot be honoured, and names it', async () => {
    for (const [name, value] of [
      ['proxy-uid', 'root'],
      ['skip-inbound-ports', '80-70'],
      ['skip-subnets', 'everywhere'],
    ] as const) {
      const { exitCode, output, commands } = await run({ pod: { annotations: { [`config.linkerd.io/${name}`]: value } } });
      expect([exitCode, commands]).toEqual([1, []]);
      expect(output?.['msg']).toContain(value);
    }
  });

  it('[NET-08] waits for an API server that is away and for a new token', async () => {
    const failures = [unavailable(), refusedToken(), new Error('ENOENT: no such file'), unavailable()];
    const result = await run({ failures });
    expect([result.exitCode, result.attempts]).toEqual([0, 5]);
    expect(result.commands).not.toEqual([]);
  });

  it('[NET-08] fails when the API server stays away: nobody knows whether the pod is meshed', async () => {
    const result = await run({ failures: Array.from({ length: 1000 }, unavailable) });
    expect(result.exitCode).toBe(1);
    expect(result.output).toMatchObject({ code: CNI_CODES.podLookup, msg: expect.stringContaining('ECONNREFUSED') });
    expect(result.attempts).toBeGreaterThan(10);
  });

  const annotated = (annotations: Record<string, string>): Record<string, unknown> => ({
    runtimeConfig: { [POD_ANNOTATIONS_CAPABILITY]: annotations },
  });
  it('[NET-08] lets a pod pass that by its annotations is not meshed while the API server is away', async () => {
    const failures = Array.from({ length: 1000 }, unavailable);
    const plain = await run({ failures, config: annotated({ 'linkerd.io/inject': 'disabled' }) });
    expect([plain.exitCode, plain.output, plain.commands]).toEqual([0, RESULT, []]);
    expect(plain.attempts).toBeLessThan(12);
    const meshed = await run({ failures, config: annotated({ 'linkerd.io/proxy-version': '0.1.0' }) });
    expect(meshed.exitCode).toBe(1);
  });

  it('does not ask twice where waiting does not help', async () => {
    for (const [failure, code] of [
      [new ResourceError('ERR_FORBIDDEN', 'pods "web" is forbidden'), CNI_CODES.podLookup],
      [new ResourceError('ERR_NOT_FOUND', 'pods "web" not found'), CNI_CODES.tryAgainLater],
    ] as const) {
      const result = await run({ failures: [failure] });
      expect([result.exitCode, result.output?.['code'], result.attempts]).toEqual([1, code, 1]);
    }
  });

  it('does not set up the sandbox of a pod that another of its name has replaced', async () => {
    const stale = { CNI_ARGS: `${ENV.CNI_ARGS};K8S_POD_UID=another` };
    expect((await run({ env: stale })).output).toMatchObject({ code: CNI_CODES.tryAgainLater });
    const mirror = await run({ env: stale, pod: { annotations: { 'kubernetes.io/config.mirror': 'another' } } });
    expect(mirror.exitCode).toBe(0);
  });

  it('waits for the lock of the legacy iptables', async () => {
    let locked = 3;
    const exec: Exec = (command) =>
      Promise.resolve(
        (command[3] ?? '').endsWith('-restore') && locked-- > 0
          ? { status: 4, stdout: '', stderr: 'Another app is currently holding the xtables lock. Perhaps you want to use the -w option?' }
          : { status: 0, stdout: '', stderr: '' },
      );
    expect((await run({ exec, linkerd: { 'iptables-mode': 'legacy' } })).exitCode).toBe(0);
  });

  it('is idempotent', async () => {
    const installed =
      ':PROXY_INIT_REDIRECT - [0:0]\n:PROXY_INIT_OUTPUT - [0:0]\n-A PREROUTING -j PROXY_INIT_REDIRECT\n-A OUTPUT -j PROXY_INIT_OUTPUT\n';
    const { exitCode, commands } = await run({ exec: () => Promise.resolve({ status: 0, stdout: installed, stderr: '' }) });
    expect(exitCode).toBe(0);
    expect(commands.filter((line) => /^-A (PREROUTING|OUTPUT) /.test(line))).toEqual([]);
  });
});

describe('results', () => {
  it.each(['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'])('speaks version %s', async (cniVersion) => {
    const { output } = await run({ config: { cniVersion, prevResult: { ...RESULT, cniVersion } } });
    expect(output).toEqual({ ...RESULT, cniVersion });
  });

  it('gives an empty result where it is not chained', async () => {
    expect((await run({ config: { prevResult: undefined } })).output).toEqual({ cniVersion: '1.0.0' });
  });

  it('lists its versions', async () => {
    const { output } = await run({ env: { CNI_COMMAND: 'VERSION' }, config: { cniVersion: '0.4.0' } });
    expect(output).toEqual({ cniVersion: '0.4.0', supportedVersions: ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] });
  });

  const refused: [string, World, number][] = [
    ['a version that it does not know', { config: { cniVersion: '2.0.0' } }, CNI_CODES.incompatibleVersion],
    ['no version', { config: { cniVersion: undefined } }, CNI_CODES.incompatibleVersion],
    ['an unknown operation', { env: { CNI_COMMAND: 'JUMP' } }, CNI_CODES.invalidEnvironment],
    ['no network namespace for a meshed pod', { env: { CNI_NETNS: '' } }, CNI_CODES.invalidEnvironment],
    ['no kubeconfig', { config: { kubernetes: {} } }, CNI_CODES.invalidNetworkConfig],
    ['a port that is no number', { linkerd: { 'incoming-proxy-port': '4143' } }, CNI_CODES.invalidNetworkConfig],
    ['an unknown iptables', { linkerd: { 'iptables-mode': 'pf' } }, CNI_CODES.invalidNetworkConfig],
    ['ports that are no list', { linkerd: { 'inbound-ports-to-ignore': '80' } }, CNI_CODES.invalidNetworkConfig],
    ['a result that is no object', { config: { prevResult: [] } }, CNI_CODES.invalidNetworkConfig],
  ];
  it.each(refused)('[NET-08] refuses %s with an error in CNI form', async (_name, world, code) => {
    const result = await run(world);
    expect(result.exitCode).toBe(1);
    expect(result.output).toMatchObject({ code, msg: expect.any(String), cniVersion: expect.any(String) });
  });

  it('refuses what is not JSON', async () => {
    const outcome = await runPlugin({
      env: ENV,
      input: '{"cniVersion":',
      exec: () => Promise.reject(new Error('not called')),
      world: { open: () => Promise.reject(new Error('not called')), now: () => 0, sleep: () => Promise.resolve(), random: () => 0 },
      logger: () => Logger.silent(),
    });
    expect(JSON.parse(outcome.output)).toMatchObject({ code: CNI_CODES.decodingFailure });
  });
});

describe('the other operations', () => {
  it.each(['DEL', 'GC', 'STATUS'])('%s succeeds whatever the input, and does nothing', async (command) => {
    const result = await run({ env: { CNI_COMMAND: command, CNI_NETNS: '' }, config: { cniVersion: '9', linkerd: 7 } });
    expect([result.exitCode, result.output, result.commands, result.attempts]).toEqual([0, undefined, [], 0]);
  });

  it('CHECK succeeds where the rules are, and fails where they are not', async () => {
    const check = { CNI_COMMAND: 'CHECK' };
    const installed =
      ':PROXY_INIT_REDIRECT - [0:0]\n:PROXY_INIT_OUTPUT - [0:0]\n-A PREROUTING -j PROXY_INIT_REDIRECT\n-A OUTPUT -j PROXY_INIT_OUTPUT\n';
    const good = await run({ env: check, exec: () => Promise.resolve({ status: 0, stdout: installed, stderr: '' }) });
    expect([good.exitCode, good.output]).toEqual([0, undefined]);
    expect(good.commands.filter((line) => !line.includes('-save'))).toEqual([]);
    expect((await run({ env: check })).output).toMatchObject({ code: CNI_CODES.redirect });
    expect((await run({ env: check, spec: { containers: [{ name: 'app' }] } })).exitCode).toBe(0);
  });
});
