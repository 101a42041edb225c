// SPDX-License-Identifier: Apache-2.0
/*
 * Probing a container as a kubelet does (Kubernetes, "Configure Liveness, Readiness and Startup Probes"): from the machine's side of the bridge to
 * the pod's address, so that in a meshed pod a probe arrives through the proxy like any request. Until a probe first succeeds it is repeated
 * faster than its period, since somebody waits for it; failures still count by the period.
 */
import { request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { connect } from 'node:net';
import type { Container, Probe } from '@weft/resources';
import { ProbeState, probeTiming, type ProbeTiming } from './probe-state.ts';

/** Time between attempts until the first success, in milliseconds. */
export const EAGER_PERIOD_MS = 200;

/** What a probe is made against. */
export interface ProbeTarget {
  readonly podIp: string;
  readonly container: Container;
  /** Runs a command in the pod; resolves with whether it ended with 0 in time. */
  exec(command: readonly string[], timeoutMs: number): Promise<boolean>;
}

/** Makes one attempt. Never rejects: what goes wrong is a failure. */
export async function attemptProbe(probe: Probe, target: ProbeTarget, timeoutMs: number): Promise<boolean> {
  const { httpGet, tcpSocket, grpc, exec } = probe;
  if (exec !== undefined) return target.exec(exec.command ?? [], timeoutMs);
  if (httpGet !== undefined) {
    const port = portOf(httpGet.port, target.container);
    return port === undefined ? false : httpProbe(httpGet, httpGet.host ?? target.podIp, port, timeoutMs);
  }
  // The gRPC health protocol is not spoken: a port that accepts connections counts.
  const socket = tcpSocket ?? (grpc === undefined ? undefined : { port: grpc.port });
  if (socket === undefined) return true;
  const port = portOf(socket.port, target.container);
  return port === undefined ? false : tcpProbe(('host' in socket ? socket.host : undefined) ?? target.podIp, port, timeoutMs);
}

/** A port by number or by the name that the container gives it. */
function portOf(port: number | string, container: Container): number | undefined {
  if (typeof port === 'number') return port;
  return container.ports?.find(({ name }) => name === port)?.containerPort;
}

function httpProbe(get: NonNullable<Probe['httpGet']>, host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const headers: Record<string, string> = { 'user-agent': 'kube-probe/1.37', accept: '*/*', connection: 'close' };
    for (const { name, value } of get.httpHeaders ?? []) headers[name.toLowerCase()] = value;
    const options = { host, port, path: get.path ?? '/', headers, agent: false as const, timeout: timeoutMs, rejectUnauthorized: false };
    const attempt = (get.scheme === 'HTTPS' ? secureRequest : request)(options, (response) => {
      const { statusCode = 0 } = response;
      response.resume();
      resolve(statusCode >= 200 && statusCode < 400);
    });
    attempt.on('timeout', () => attempt.destroy());
    attempt.on('error', () => resolve(false));
    attempt.on('close', () => resolve(false));
    attempt.end();
  });
}

function tcpProbe(host: string, port: number, timeoutMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const end = (isSuccess: boolean) => (): void => {
      resolve(isSuccess);
      socket.destroy();
    };
    socket.on('connect', end(true));
    socket.on('timeout', end(false));
    socket.on('error', end(false));
  });
}

/** Probes until it is stopped, and says when the verdict changes. */
export class Prober {
  private readonly probe: Probe;
  private readonly target: ProbeTarget;
  private readonly timing: ProbeTiming;
  private readonly state: ProbeState;
  private readonly onVerdict: (isSuccess: boolean) => void;
  private timer: NodeJS.Timeout | undefined = undefined;
  private isStopped = false;
  private hasSucceeded = false;
  private lastCountedMs = -Infinity;

  /** `initial` is the verdict before the first result: a change from it is reported. */
  constructor(probe: Probe, target: ProbeTarget, initial: boolean | undefined, onVerdict: (isSuccess: boolean) => void) {
    this.probe = probe;
    this.target = target;
    this.timing = probeTiming(probe);
    this.state = new ProbeState(this.timing, initial);
    this.onVerdict = onVerdict;
  }

  start(): void {
    this.schedule(this.timing.initialDelayMs);
  }

  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
  }

  private schedule(delayMs: number): void {
    this.timer = setTimeout(() => {
      // `attempt` never rejects.
      void this.attempt();
    }, delayMs);
  }

  private async attempt(): Promise<void> {
    const startedMs = performance.now();
    const isSuccess = await attemptProbe(this.probe, this.target, this.timing.timeoutMs);
    if (this.isStopped) return;
    this.hasSucceeded ||= isSuccess;
    // An eager failure between two periods is not counted, or a slow start would use up the threshold.
    const isDue = startedMs - this.lastCountedMs >= this.timing.periodMs;
    if (isSuccess || isDue) {
      this.lastCountedMs = startedMs;
      if (this.state.record(isSuccess)) this.onVerdict(isSuccess);
    }
    if (this.isStopped) return;
    this.schedule(this.hasSucceeded ? this.timing.periodMs : Math.min(EAGER_PERIOD_MS, this.timing.periodMs));
  }
}
