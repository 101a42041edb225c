// SPDX-License-Identifier: Apache-2.0
/* An application that asks two services in three ways at a steady rate, and says of each answer whether it came and whose it was. */
import { Agent, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect } from 'node:net';

export interface LoadTarget {
  readonly ip: string;
  readonly httpPort: number;
  readonly opaquePort: number;
  /** What the right ones answer. */
  readonly identities: readonly string[];
}

export interface Tally {
  begun: number;
  done: number;
  /** No answer, or one of the proxy's own. */
  failed: number;
  /** An answer of somebody else. */
  wrong: number;
}

export type LoadKind = 'http1' | 'http2' | 'opaque';

export interface LoadReport {
  readonly tallies: Readonly<Record<LoadKind, Tally>>;
  /** The first of what went wrong. */
  readonly problems: readonly string[];
  /** Milliseconds, over all kinds. */
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const GIVE_UP_MS = 10_000;
const MAX_PROBLEMS = 20;

let report: Promise<LoadReport> | undefined;

/** Starts; `result` tells. */
export function start(targets: readonly LoadTarget[], perSecond: number, seconds: number): void {
  report = new Load(targets).run(perSecond, seconds);
}

export async function result(): Promise<LoadReport> {
  if (report === undefined) throw new Error('not started');
  return report;
}

class Load {
  private readonly targets: readonly LoadTarget[];
  private readonly tallies: Record<LoadKind, Tally> = { http1: tally(), http2: tally(), opaque: tally() };
  private readonly problems: string[] = [];
  private readonly latencies: number[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 16 });
  private readonly sessions = new Map<string, ClientHttp2Session>();
  private readonly pending = new Set<Promise<void>>();
  private readonly startedMs = performance.now();

  constructor(targets: readonly LoadTarget[]) {
    this.targets = targets;
  }

  async run(perSecond: number, seconds: number): Promise<LoadReport> {
    const kinds: readonly LoadKind[] = ['http1', 'http2', 'opaque'];
    const total = perSecond * seconds;
    let sent = 0;
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        // Open loop: what is due is sent, however long the answers take.
        const due = Math.min(total, Math.floor(((performance.now() - this.startedMs) / 1000) * perSecond));
        for (; sent < due; sent++) {
          const kind = kinds.at(sent % kinds.length);
          const target = this.targets.at(Math.floor(sent / kinds.length) % this.targets.length);
          if (kind !== undefined && target !== undefined) this.ask(kind, target);
        }
        if (sent < total) return;
        clearInterval(timer);
        resolve();
      }, 10);
    });
    await Promise.all(this.pending);
    for (const session of this.sessions.values()) session.destroy();
    this.agent.destroy();
    const sorted = this.latencies.sort((a, b) => a - b);
    const at = (part: number): number => Math.round((sorted[Math.floor((sorted.length - 1) * part)] ?? 0) * 10) / 10;
    return { tallies: this.tallies, problems: this.problems, p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  private ask(kind: LoadKind, target: LoadTarget): void {
    const counted = this.tallies[kind];
    counted.begun += 1;
    const startedMs = performance.now();
    const asked = { http1: () => this.http1(target), http2: () => this.http2(target), opaque: () => opaque(target) }[kind]();
    const over = withDeadline(asked).then(
      (answer) => {
        this.latencies.push(performance.now() - startedMs);
        counted.done += 1;
        if (!target.identities.includes(answer)) {
          counted.wrong += 1;
          this.problem(`${kind} ${target.ip}: answered by ${answer}`);
        }
      },
      (error: unknown) => {
        counted.failed += 1;
        this.problem(`${kind} ${target.ip} after ${Math.round(performance.now() - startedMs)} ms: ${String(error)}`);
      },
    );
    const tracked: Promise<void> = over.finally(() => this.pending.delete(tracked));
    this.pending.add(tracked);
  }

  private problem(text: string): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(`${((performance.now() - this.startedMs) / 1000).toFixed(1)} s: ${text}`);
  }

  private async http1(target: LoadTarget): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request({ host: target.ip, port: target.httpPort, agent: this.agent, path: '/' }, (response) => {
        let text = '';
        response.setEncoding('latin1').on('data', (part: string) => (text += part));
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${response.statusCode} ${String(response.headers['l5d-proxy-error'])}`));
        });
        response.on('error', reject);
      });
      call.on('error', reject);
      call.end();
    });
  }

  private async http2(target: LoadTarget): Promise<string> {
    return new Promise((resolve, reject) => {
      const stream = this.session(target).request({ ':path': '/', ':authority': `${target.ip}:${target.httpPort}` });
      let status = 0;
      let text = '';
      let error = '';
      stream.on('response', (headers) => {
        status = Number(headers[':status']);
        error = String(headers['l5d-proxy-error']);
      });
      stream.setEncoding('latin1').on('data', (part: string) => (text += part));
      stream.on('error', reject);
      stream.on('end', () => {
        if (status === 200) resolve(text);
        else reject(new Error(`${status} ${error}`));
      });
      stream.on('close', () => reject(new Error('closed without answer')));
    });
  }

  private session(target: LoadTarget): ClientHttp2Session {
    let session = this.sessions.get(target.ip);
    if (session === undefined || session.closed || session.destroyed) {
      session = connectHttp2(`http://${target.ip}:${target.httpPort}`);
      session.on('error', () => {});
      this.sessions.set(target.ip, session);
    }
    return session;
  }
}

async function opaque(target: LoadTarget): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(target.opaquePort, target.ip);
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    socket.on('connect', () => socket.write('who?\n'));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      if (text.endsWith('\n')) resolve(text.trim());
      else reject(new Error(`ended after ${JSON.stringify(text)}`));
    });
    socket.on('close', () => reject(new Error('closed without answer')));
  });
}

async function withDeadline(asked: Promise<string>): Promise<string> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer in time')), GIVE_UP_MS);
  });
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}

function tally(): Tally {
  return { begun: 0, done: 0, failed: 0, wrong: 0 };
}
