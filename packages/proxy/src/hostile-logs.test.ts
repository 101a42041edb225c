// SPDX-License-Identifier: Apache-2.0
/*
 * What peers say in the proxy's log (bad-inputs 21): every text that comes from outside (names in certificates, transport headers, messages of a
 * control plane, names in policies) goes through the logger, which leaves one printable line of bounded length. Here it is sent through the
 * components that log it, and the sources are searched for any other way out.
 */
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestMesh } from '@weft/pki/testing';
import { type LogFormat, Logger, MetricRegistry } from '@weft/telemetry';
import { afterEach, describe, expect, it } from 'vitest';
import { GRPC_FAILED_PRECONDITION, GRPC_INVALID_ARGUMENT } from './control/grpc-client.ts';
import { GrpcDiscovery } from './discovery/grpc-discovery.ts';
import { IdentityManager } from './identity/identity-manager.ts';
import { PolicyLog } from './inbound/policy-log.ts';
import { TlsLog } from './tcp/tls-log.ts';
import { FakeChannel } from './testing/fake-channel.ts';
import { testConfig } from './testing/test-config.ts';
import { TestLoop } from './testing/test-loop.ts';

const HOSTILE = 'a\r\n[     0.000000s] ERROR forged\u001b[2J\u0000\u009b31m\u2028\u202egnp"\ud800'.padEnd(70_000, 'z');
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202e]/;

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

const USES: readonly (readonly [string, string, (log: Logger) => void | Promise<void>])[] = [
  [
    'a status of the identity service',
    'Failed to obtain identity',
    async (log) => {
      const directory = mkdtempSync(join(tmpdir(), 'weft-logs-'));
      cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
      writeFileSync(join(directory, 'token'), 'x');
      const loop = new TestLoop();
      const channel = new FakeChannel();
      const manager = new IdentityManager({
        config: testConfig({
          IDENTITY_TRUST_ANCHORS: createTestMesh().trustAnchorsPem.join(''),
          IDENTITY_DIR: directory,
          IDENTITY_TOKEN_FILE: join(directory, 'token'),
        }),
        clock: loop.clock,
        wallClock: Date.now,
        registry: new MetricRegistry(),
        log,
      });
      await manager.bootstrap();
      manager.start(channel);
      await expect.poll(() => channel.calls.length).toBe(1);
      channel.last.end(GRPC_FAILED_PRECONDITION, HOSTILE);
      loop.advance(16_000);
      manager.close();
    },
  ],
  [
    'a status of the destination service',
    'discovery rejected',
    (log) => {
      const loop = new TestLoop();
      const destination = new FakeChannel();
      const discovery = new GrpcDiscovery({ config: testConfig(), destination, policy: new FakeChannel(), clock: loop.clock, log });
      const resolution = discovery.resolve(HOSTILE, () => {});
      destination.last.end(GRPC_INVALID_ARGUMENT, HOSTILE);
      resolution.close();
      discovery.close();
    },
  ],
  [
    'names in the certificate of a peer',
    'TLS handshake failed',
    (log) => new TlsLog(log, () => 0).failed('inbound', 80, { code: 'ERR_TLS_IDENTITY', message: `its certificate has ${HOSTILE}` }),
  ],
  [
    'the identity of a client and the names of a policy',
    'Request denied',
    (log) =>
      new PolicyLog(log, () => 0).requestDenied(
        { group: HOSTILE, kind: HOSTILE, name: HOSTILE },
        { kind: 'default', name: HOSTILE },
        { ip: '10.0.0.1', port: 1, tls: { kind: 'tls', identity: HOSTILE } as never },
      ),
  ],
];

describe.each<LogFormat>(['plain', 'json'])('in %s logs', (format) => {
  it.each(USES)('[LOG-02] %s cannot forge a line', async (_what, message, use) => {
    const lines: string[] = [];
    await use(Logger.create({ format, filter: 'trace', write: (line) => lines.push(line) }));
    expect(lines.filter((line) => line.includes(message)).length).toBeGreaterThan(0);
    for (const line of lines) {
      expect(UNPRINTABLE.exec(line.slice(0, -1))?.[0]).toBeUndefined();
      expect(line.endsWith('\n')).toBe(true);
      expect(line.length).toBeLessThan(40_000);
    }
  });
});

it('nothing in the proxy writes but its logger', () => {
  const sources = globSync('**/*.ts', { cwd: import.meta.dirname }).filter((file) => !/\.test\.ts$|^testing\//.test(file));
  expect(sources.length).toBeGreaterThan(60);
  const others = sources.filter((file) => /console\.|process\.std(?:out|err)/.test(readFileSync(join(import.meta.dirname, file), 'utf8')));
  expect(others).toEqual([]);
});
