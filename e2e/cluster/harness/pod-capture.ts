// SPDX-License-Identifier: Apache-2.0
/*
 * What goes over a pod's own link, as TCP streams: tcpdump in the pod's network namespace, which is found by the container's number in /proc of this
 * machine (both providers run their containers on it). Loopback is another link, so what an application says to its sidecar is not in there.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { tcpStreams, type TcpStream } from '../../host/capture.ts';
import { eventually } from './eventually.ts';
import type { Kube } from './kube.ts';
import type { Pod } from './objects.ts';

/** tcpdump hands over what it has read at least once a second. */
const DRAIN_MS = 1100;
/** Larger than any frame that offloading puts together. */
const SNAP_BYTES = 262_144;
const TLS_HANDSHAKE_RECORD = 0x16;

export class PodCapture {
  private readonly child: ChildProcess;
  private readonly pieces: Buffer[] = [];
  private said = '';

  private constructor(argv: readonly string[]) {
    const [name = '', ...args] = argv;
    this.child = spawn(name, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (piece: Buffer) => this.pieces.push(piece));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.said += text));
  }

  /** Captures on the pod's link, IPv4 only; `filter` as in pcap-filter(7). Resolves when it listens. */
  static async start(kube: Kube, pod: string, filter = 'tcp', link = 'eth0'): Promise<PodCapture> {
    const found = await kube.get<Pod>('pod', pod);
    if (found === undefined) throw new Error(`there is no pod ${pod} in ${kube.namespace}`);
    const tcpdump = ['tcpdump', '-i', link, '-s', String(SNAP_BYTES), '-U', '-w', '-', filter];
    const capture = new PodCapture(['nsenter', '-t', String(processOfPod(found)), '-n', ...tcpdump]);
    await eventually('the capture listens', () => {
      if (capture.child.exitCode !== null) throw new Error(capture.said);
      return capture.said.includes('listening on');
    });
    return capture;
  }

  /** Ends it and resolves with what went by. */
  async stop(): Promise<readonly TcpStream[]> {
    await sleep(DRAIN_MS);
    this.child.kill('SIGTERM');
    await eventually('the capture ends', () => this.child.exitCode !== null && this.child.stdout?.readableEnded === true);
    return tcpStreams(Buffer.concat(this.pieces));
  }

  /** For when a test has failed. */
  kill(): void {
    this.child.kill('SIGKILL');
  }
}

/** A process of this machine in the pod's namespaces. Throws where no container of it runs here. */
export function processOfPod(pod: Pod): number {
  return processOf(pod, () => true);
}

/** The first process of one container. Throws where it does not run here. */
export function processOfContainer(pod: Pod, container: string): number {
  return processOf(pod, (name) => name === container);
}

function processOf(pod: Pod, isWanted: (container: string) => boolean): number {
  const ids = [...(pod.status.initContainerStatuses ?? []), ...(pod.status.containerStatuses ?? [])]
    .filter(({ name, state }) => state.running !== undefined && isWanted(name))
    .map(({ containerID }) => containerID?.replace(/^\w+:\/\//, '') ?? '')
    .filter((id) => id !== '');
  // In numeric order: a container's first process is older than what it started.
  const entries = readdirSync('/proc').filter((entry) => /^\d+$/.test(entry));
  for (const entry of entries.toSorted((a, b) => Number(a) - Number(b))) {
    try {
      const cgroups = readFileSync(`/proc/${entry}/cgroup`, 'utf8');
      if (ids.some((id) => cgroups.includes(id))) return Number(entry);
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`no such container of pod ${pod.metadata.name} runs on this machine`);
}

/** Whether a stream begins as TLS does. */
export function isTls(stream: TcpStream): boolean {
  return stream.bytes[0] === TLS_HANDSHAKE_RECORD && stream.bytes[1] === 3;
}
