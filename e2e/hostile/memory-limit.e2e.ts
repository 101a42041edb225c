// SPDX-License-Identifier: Apache-2.0
/*
 * A proxy in a cgroup of 64 MiB under everything at once (bad-inputs 20): it refuses what is too much, counts it, lives, and serves again. Of the nightly run
 * (`npm run test:hostile -- --nightly`): on a busy machine it has been killed, or not served again within 40 s, in one run of four.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import type { Attack } from './hosts/attacker.ts';
import { frames, hello } from './http2-peer.ts';
import { headersFrame } from '@weft/http2/testing';
import { HTTP1_PORT, HTTP2_PORT, metric, startWorld, statuses, textOf, type World } from './world.ts';

const MIB = 1024 * 1024;
const LIMIT_BYTES = 64 * MIB;

/** A memory cgroup of this test's own, of either version. */
class MemoryCgroup {
  readonly directory: string;
  private readonly isV2: boolean = existsSync('/sys/fs/cgroup/cgroup.controllers');

  constructor(name: string) {
    this.directory = `${this.isV2 ? '/sys/fs/cgroup' : '/sys/fs/cgroup/memory'}/${name}`;
    if (this.isV2) writeFileSync('/sys/fs/cgroup/cgroup.subtree_control', '+memory');
    mkdirSync(this.directory);
    writeFileSync(`${this.directory}/${this.isV2 ? 'memory.max' : 'memory.limit_in_bytes'}`, String(LIMIT_BYTES));
  }

  /** A command that moves itself into the cgroup and goes on with its arguments. `ip netns exec` gives it a /sys without cgroups: they are mounted anew. */
  get entry(): readonly string[] {
    const mount = this.isV2
      ? 'mount -t cgroup2 none /sys/fs/cgroup'
      : 'mount -t tmpfs none /sys/fs/cgroup; mkdir /sys/fs/cgroup/memory; mount -t cgroup -o memory none /sys/fs/cgroup/memory';
    return ['sh', '-ec', `${mount}; echo $$ > ${this.directory}/cgroup.procs; exec "$@"`, 'sh'];
  }

  /** Processes that the kernel has killed here for want of memory. */
  get kills(): number {
    const text = readFileSync(`${this.directory}/${this.isV2 ? 'memory.events' : 'memory.oom_control'}`, 'latin1');
    return Number(/oom_kill (\d+)/.exec(text)?.[1]);
  }

  get peakBytes(): number {
    return Number(readFileSync(`${this.directory}/${this.isV2 ? 'memory.peak' : 'memory.max_usage_in_bytes'}`, 'latin1'));
  }

  remove(): void {
    try {
      rmdirSync(this.directory);
    } catch {
      // A process is still ending; an empty cgroup costs nothing.
    }
  }
}

describe('at a limit of 64 MiB', () => {
  let cgroup: MemoryCgroup;
  let world: World;
  beforeAll(async () => {
    cgroup = new MemoryCgroup(`weft-hostile-${process.pid}`);
    world = await startWorld({ confine: { server: cgroup.entry } });
  });
  afterAll(() => {
    world.rig.stop();
    cgroup.remove();
  });

  it('[PROTO-19] bad-inputs 20: many connections, large bodies and slow readers are shed, never the process', async () => {
    expect(await metric(world, 'server', 'weft_memory_limit_bytes')).toBe(LIMIT_BYTES);
    const base = { host: SERVER_IP, port: HTTP1_PORT, quietMs: 100, maxMs: 15_000 };
    const slowReader: Attack = {
      ...base,
      steps: [{ text: 'GET /large/1000000000 HTTP/1.1\r\nhost: a\r\n\r\n' }, { reading: 'stop', pauseMs: 8000, close: 'rst' }],
    };
    const upload: Attack = {
      ...base,
      maxMs: 8000,
      steps: [
        { text: 'POST /no-read HTTP/1.1\r\nhost: a\r\ncontent-length: 100000000\r\n\r\n' },
        { text: 'x'.repeat(65_536), repeat: 1500, close: 'rst' },
      ],
    };
    // Heads of 15 KB on streams whose answers cannot leave.
    const large = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/slow/5000', 'x', 'y'.repeat(15_000)];
    const streams: Attack = {
      ...base,
      port: HTTP2_PORT,
      steps: [
        hello([[4, 0]]),
        ...Array.from({ length: 20 }, (_, step) =>
          frames(...Array.from({ length: 25 }, (__, i) => headersFrame(2 * (step * 25 + i) + 1, large, { endStream: true }))),
        ),
        { pauseMs: 6000, close: 'rst' },
      ],
    };
    const flood = Promise.all([
      world.outside.call(
        'attackAll',
        Array.from({ length: 250 }, () => slowReader),
      ),
      world.inside.call('attackAll', []),
      world.outside.call(
        'attackAll',
        Array.from({ length: 60 }, () => upload),
      ),
      world.outside.call(
        'attackAll',
        Array.from({ length: 20 }, () => streams),
      ),
      world.outside.call('openCrowd', SERVER_IP, HTTP1_PORT, 1500, 'GET /x HTTP/1.1\r\n'),
    ]);
    const answers = new Map<number | string, number>();
    for (let round = 0; round < 25; round++) {
      const outcome = await world.outside.call('attack', {
        ...base,
        steps: [{ text: 'GET /x HTTP/1.1\r\nhost: a\r\n\r\n', awaitBytes: 10 }],
        maxMs: 4000,
      });
      const answer = statuses(textOf(outcome))[0] ?? outcome.end;
      answers.set(answer, (answers.get(answer) ?? 0) + 1);
      if (!world.rig.isAlive('server')) break;
    }
    expect([world.rig.isAlive('server'), cgroup.kills]).toEqual([true, 0]);
    await flood;
    const shed = await metric(world, 'server', 'weft_memory_shed_total');
    console.log(
      `64 MiB: peak ${(cgroup.peakBytes / MIB).toFixed(1)} MiB of the cgroup, answers meanwhile ${JSON.stringify([...answers])}, shed ${shed}`,
    );
    expect(cgroup.kills).toBe(0);
    expect(shed).toBeGreaterThan(0);
    // Served, shed with an answer, or refused: nothing hangs.
    expect([...answers.keys()].filter((answer) => answer === 'open')).toEqual([]);
    await world.outside.call('closeCrowd');
    await expect
      .poll(
        async () =>
          statuses(
            textOf(
              await world.outside.call('attack', { ...base, steps: [{ text: 'GET /x HTTP/1.1\r\nhost: a\r\n\r\n', awaitBytes: 10 }] }),
            ),
          )[0],
        { timeout: 40_000 },
      )
      .toBe(200);
    expect(cgroup.kills).toBe(0);
  }, 120_000);
});
