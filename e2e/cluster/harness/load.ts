// SPDX-License-Identifier: Apache-2.0
/* Steady load from a pod while a test does something to the mesh, and what became of every single request (images/app/load.mjs). */
import { randomBytes } from 'node:crypto';
import { APP_IMAGE } from '../images/test-images.ts';
import { eventually } from './eventually.ts';
import type { Kube } from './kube.ts';

export interface LoadOptions {
  readonly url: string;
  /** Requests a second; default 50. */
  readonly rate?: number;
  readonly isHttp2?: boolean;
  /** A new connection for each request. */
  readonly isFresh?: boolean;
  readonly headers?: Readonly<Record<string, string>>;
  /** Of the pod: `{'linkerd.io/inject': 'enabled'}`. */
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Counts since the start. */
export interface LoadResult {
  readonly sent: number;
  /** Answers with status 200. */
  readonly ok: number;
  readonly failed: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Answers with status 200 by the `name` of the server. */
  readonly bodies: Readonly<Record<string, number>>;
  /** The first 50, with milliseconds since the start. */
  readonly failures: readonly { readonly atMs: number; readonly why: string }[];
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
}

const CONTAINER = 'load';

/** Load that runs. */
export class Load {
  readonly pod: string;
  private readonly kube: Kube;

  private constructor(kube: Kube, pod: string) {
    this.kube = kube;
    this.pod = pod;
  }

  /** Starts it; resolves after the first answers. */
  static async start(kube: Kube, options: LoadOptions): Promise<Load> {
    const load = new Load(kube, `load-${randomBytes(3).toString('hex')}`);
    const flags = [
      `--rate=${options.rate ?? 50}`,
      ...(options.isHttp2 === true ? ['--http2'] : []),
      ...(options.isFresh === true ? ['--fresh'] : []),
    ];
    const headers = Object.entries(options.headers ?? {}).flatMap(([name, value]) => ['--header', `${name}: ${value}`]);
    await kube.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: load.pod, labels: { app: 'load' }, annotations: options.annotations ?? {} },
      spec: {
        restartPolicy: 'Never',
        terminationGracePeriodSeconds: 5,
        containers: [
          {
            name: CONTAINER,
            image: APP_IMAGE,
            imagePullPolicy: 'IfNotPresent',
            command: ['node', '/app/load.mjs', options.url, ...flags, ...headers],
          },
        ],
      },
    });
    await eventually('answers to the load', async () => (await load.soFar()).ok > 0);
    return load;
  }

  /** Counts up to about now. */
  async soFar(): Promise<Pick<LoadResult, 'sent' | 'ok' | 'failed' | 'statuses'>> {
    const line = (await this.lines()).findLast((text) => text.startsWith('so far '));
    if (line === undefined) throw new Error(`${this.pod} has said nothing yet`);
    return JSON.parse(line.slice('so far '.length)) as LoadResult;
  }

  /** Ends it, waits for the answers that are still out, removes the pod. */
  async stop(): Promise<LoadResult> {
    await this.kube.exec(this.pod, ['kill', '-TERM', '1'], { container: CONTAINER });
    const last = await eventually('the end of the load', async () => (await this.lines()).findLast((text) => text.startsWith('{"sent"')));
    await this.kube.kubectl(['delete', 'pod', this.pod, '--wait=false']);
    return JSON.parse(last) as LoadResult;
  }

  private async lines(): Promise<readonly string[]> {
    return (await this.kube.logs(this.pod, { container: CONTAINER })).trim().split('\n');
  }
}
