// SPDX-License-Identifier: Apache-2.0
/* Every line that the pods of a selector ever say, of those too that come and go while it listens: a rollout takes the logs of old pods away. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Kube } from './kube.ts';

const LOOK_EVERY_MS = 500;

export class LogFollower {
  private readonly kube: Kube;
  private readonly selector: string;
  private readonly container: string;
  private readonly texts = new Map<string, string>();
  private readonly children = new Map<string, ChildProcess>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private isStopped = false;

  private constructor(kube: Kube, selector: string, container: string) {
    this.kube = kube;
    this.selector = selector;
    this.container = container;
  }

  /** Follows one container of the selector's pods from now on; resolves when it listens to those that are there. */
  static async start(kube: Kube, selector: string, container: string): Promise<LogFollower> {
    const follower = new LogFollower(kube, selector, container);
    await follower.look();
    return follower;
  }

  /** All that was said so far, a text per pod that said anything. */
  get all(): readonly string[] {
    return [...this.texts.values()].filter((text) => text !== '');
  }

  /** Ends the followers. */
  stop(): void {
    this.isStopped = true;
    clearTimeout(this.timer);
    for (const child of this.children.values()) child.kill();
  }

  private async look(): Promise<void> {
    const pods = await this.kube.list('pods', this.selector).catch(() => []);
    for (const { metadata } of pods) if (!this.children.has(metadata.name)) this.follow(metadata.name);
    if (!this.isStopped) this.timer = setTimeout(() => void this.look(), LOOK_EVERY_MS);
  }

  private follow(pod: string): void {
    const [name = '', ...args] = this.kube.kubectlCommand(['logs', '--follow', pod, '-c', this.container]);
    const child = spawn(name, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    this.children.set(pod, child);
    child.stdout.setEncoding('utf8').on('data', (text: string) => this.texts.set(pod, (this.texts.get(pod) ?? '') + text));
    // Its container has not started yet, or the connection broke: it is asked again, from the beginning.
    child.on('exit', () => {
      const isOver = /^REPORT /m.test(this.texts.get(pod) ?? '');
      if (this.isStopped || isOver) return;
      setTimeout(() => {
        this.children.delete(pod);
        this.texts.delete(pod);
      }, LOOK_EVERY_MS);
    });
  }
}
