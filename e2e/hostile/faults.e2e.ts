// SPDX-License-Identifier: Apache-2.0
/*
 * A defect of ours in each callback (design §3, "One bad connection dies alone"): the connection that it happens to ends, the process lives, the
 * others are served, `weft_internal_errors_total` says where. More than ten a minute would drain the process, so each world takes fewer.
 */
import { mkdtempSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SERVER_IP } from '@weft/testkit/sidecar-rig';
import { headersFrame } from '@weft/http2/testing';
import { frames, hello } from './http2-peer.ts';
import type { Attack } from './hosts/attacker.ts';
import { HTTP1_PORT, HTTP2_PORT, metric, startWorld, type World } from './world.ts';

const GET: Attack = { host: SERVER_IP, port: HTTP1_PORT, steps: [{ text: 'GET /x HTTP/1.1\r\nhost: a\r\n\r\n' }] };
const POST: Attack = {
  ...GET,
  steps: [{ text: 'POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n' }, { text: 'hello', pauseMs: 50 }, { close: 'fin' }],
};
const STREAM: Attack = {
  host: SERVER_IP,
  port: HTTP2_PORT,
  steps: [hello(), frames(headersFrame(1, [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/x'], { endStream: true }))],
};

/** Where the fault is, and the connection that meets it. */
const WORLDS: readonly (readonly (readonly [string, Attack])[])[] = [
  [
    ['H1ServerConnection.onRead', GET],
    ['H1ServerConnection.onHead', GET],
    ['H1ServerConnection.onBody', POST],
    ['H1ServerConnection.onEnd', POST],
    ['H1ServerConnection.onReadEnd', POST],
    ['H1ServerConnection.onClose', GET],
    ['PortStack.serveHttp1', GET],
    ['InboundServer.accept', GET],
  ],
  [
    ['H2ServerConnection.onRead', STREAM],
    ['H2ServerConnection.onRequest', STREAM],
    ['H2ServerConnection.beforeFlush', STREAM],
    ['H2ServerConnection.onClose', STREAM],
    ['H2ClientConnection.onRead', STREAM],
    ['H2ClientConnection.beforeFlush', STREAM],
    ['AdminServer.accept', GET],
    ['TimerHandle.run', { ...GET, steps: [{ text: 'GET /x HTTP/1.1\r\nhost:', pauseMs: 1500 }] }],
  ],
];

describe.each(WORLDS.map((faults) => ({ faults })))('a defect in a callback', ({ faults }) => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-fault-'));
  const file = join(directory, 'place');
  let world: World;
  beforeAll(async () => {
    chmodSync(directory, 0o755);
    writeFileSync(file, '');
    world = await startWorld({
      faultsModule: join(import.meta.dirname, 'hosts/faults.ts'),
      env: { server: { WEFT_FAULT_FILE: file, LINKERD2_PROXY_HTTP1_HEAD_TIMEOUT: '500ms' } },
    });
  });
  afterAll(() => {
    world.rig.stop();
    rmSync(directory, { recursive: true });
  });

  it.each(faults)('%s ends one connection, is counted and costs nobody else', async (place, victim) => {
    const before = await metric(world, 'server', 'weft_internal_errors_total');
    writeFileSync(file, place);
    process.kill(world.rig.pid('server'), 'SIGUSR2');
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    if (place.startsWith('AdminServer')) await world.rig.metrics('server').catch(() => 'the connection of the scrape was the victim');
    else await world.outside.call('attack', victim);
    // A throw within another connection's boundary may be met by a second callback of the same connection, never by more.
    await expect.poll(async () => metric(world, 'server', 'weft_internal_errors_total'), { timeout: 5000 }).toBe(before + 1);
    expect(world.rig.isAlive('server')).toBe(true);
    expect(world.rig.log('server')).toContain('injected fault');
    expect(await world.outside.call('askBystanders')).toEqual(['200', '200']);
  });
});
