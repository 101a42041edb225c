// SPDX-License-Identifier: Apache-2.0
/*
 * What a container runtime does with a directory of network configurations (CNI specification, "Execution of Network Configurations"): it
 * takes the first by name and runs each plugin of its list, handing the result on; the first failure ends the sandbox.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A node as the runtime sees it. */
export interface CniRun {
  readonly netDir: string;
  readonly binDir: string;
}

/** A sandbox to set up, look at, or take down. */
export interface SandboxRequest {
  readonly command: 'ADD' | 'DEL' | 'CHECK';
  readonly containerId: string;
  /** Path of the network namespace. */
  readonly netns: string;
  readonly namespace: string;
  readonly name: string;
  /** Given to plugins that declare the capability. */
  readonly annotations?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

/** How it went. */
export interface CniRunResult {
  readonly isOk: boolean;
  /** Of the last plugin: its result, or its error. */
  readonly output: unknown;
  /** Plugins that ran, by type. */
  readonly ran: readonly string[];
  readonly stderr: string;
}

interface NetworkList {
  readonly cniVersion: string;
  readonly name: string;
  readonly plugins: readonly (Readonly<Record<string, unknown>> & { readonly type: string })[];
}

const ANNOTATIONS = 'io.kubernetes.cri.pod-annotations';

/** Runs the plugins in order; for DEL in the opposite one. */
export async function runNetworkList({ netDir, binDir }: CniRun, request: SandboxRequest): Promise<CniRunResult> {
  const list = readList(netDir);
  const ran: string[] = [];
  let output: unknown;
  let stderr = '';
  for (const plugin of request.command === 'DEL' ? list.plugins.toReversed() : list.plugins) {
    const capabilities = (plugin['capabilities'] ?? {}) as Readonly<Record<string, boolean>>;
    const input = {
      ...plugin,
      cniVersion: list.cniVersion,
      name: list.name,
      ...(request.annotations === undefined || capabilities[ANNOTATIONS] !== true
        ? {}
        : { runtimeConfig: { [ANNOTATIONS]: request.annotations } }),
      ...(output === undefined ? {} : { prevResult: output }),
    };
    const result = await runPlugin(join(binDir, plugin.type), JSON.stringify(input), request, binDir);
    ran.push(plugin.type);
    stderr += result.stderr;
    output = result.stdout === '' ? output : JSON.parse(result.stdout);
    if (result.code !== 0) return { isOk: false, output, ran, stderr };
  }
  return { isOk: true, output, ran, stderr };
}

function readList(netDir: string): NetworkList {
  const [name = ''] = readdirSync(netDir)
    .filter((file) => /\.conf(list)?$/.test(file))
    .toSorted();
  const root = JSON.parse(readFileSync(join(netDir, name), 'utf8')) as NetworkList & { readonly type?: string };
  return name.endsWith('.conflist') ? root : { cniVersion: root.cniVersion, name: root.name, plugins: [root as never] };
}

function runPlugin(
  executable: string,
  input: string,
  request: SandboxRequest,
  binDir: string,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(executable, [], {
    env: {
      PATH: process.env['PATH'] ?? '',
      CNI_COMMAND: request.command,
      CNI_CONTAINERID: request.containerId,
      CNI_NETNS: request.netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: binDir,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${request.namespace};K8S_POD_NAME=${request.name};K8S_POD_INFRA_CONTAINER_ID=${request.containerId}`,
      ...request.env,
    },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const { promise, resolve, reject } = Promise.withResolvers<{ code: number | null; stdout: string; stderr: string }>();
  child.on('error', reject);
  child.on('close', (code) => resolve({ code, stdout, stderr }));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return promise;
}
