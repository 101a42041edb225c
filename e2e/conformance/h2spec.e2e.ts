// SPDX-License-Identifier: Apache-2.0
/*
 * h2spec against the proxy's HTTP/2 server: once against the outbound proxy, as an application's client meets it, once against the inbound
 * proxy from a host that is not in the mesh. Every case of the generic, http2 and hpack sections runs, the strict ones too; each is a test.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SERVER_IP, SERVICE_IP, type Side, type SidecarRig } from '@weft/testkit/sidecar-rig';
import { afterAll, describe, expect, it } from 'vitest';
import { readExpectedFailures } from './expected-failures.ts';
import { goTool } from './go-tools.ts';
import type * as Application from './h2c-application.ts';
import { samples, startMesh } from './mesh.ts';

interface Case {
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'skipped';
  readonly detail: string;
}

const PORT = 8080;
const RUN_TIMEOUT_MS = 100_000;
const CASE_TIMEOUT_S = '2';
/** Cases of h2spec 2.2.1, strict ones included. */
const CASE_COUNT = 146;

const TARGETS: readonly { readonly name: string; readonly from: Side; readonly host: string }[] = [
  { name: 'outbound proxy', from: 'client', host: SERVICE_IP },
  { name: 'inbound proxy, unmeshed client', from: 'peer', host: SERVER_IP },
];

const expected = readExpectedFailures(join(import.meta.dirname, 'h2spec-expected-failures.txt'));
// The case on too many streams needs a limit to exceed; as the reference, the proxy sets none by itself.
const rig = await startMesh([{ port: PORT, protocol: 'detect' }], {
  LINKERD2_PROXY_INBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS: '100',
  LINKERD2_PROXY_OUTBOUND_SERVER_HTTP2_MAX_CONCURRENT_STREAMS: '100',
});
afterAll(() => rig.stop());
const runs = await runAll(rig);

describe.each(TARGETS)('h2spec, $name', ({ name }) => {
  const cases = runs.get(name) ?? [];

  it(`[PROTO-08] runs all ${CASE_COUNT} cases`, () => {
    expect(cases).toHaveLength(CASE_COUNT);
    expect([...expected.keys()].filter((listed) => !cases.some((each) => each.name === listed))).toEqual([]);
  });

  it.each(cases)('[PROTO-08] $name', ({ name, result, detail }) => {
    expect({ result, detail }).toMatchObject(expected.has(name) ? { result: 'failed' } : { result: 'passed', detail: '' });
  });
});

describe('the proxies after h2spec', () => {
  it('[PROTO-08] [ID-02] are alive, and the traffic between them was mutually authenticated', async () => {
    expect([rig.isAlive('client'), rig.isAlive('server')]).toEqual([true, true]);
    for (const side of ['client', 'server'] as const) {
      const internal = await samples(rig, side, 'weft_internal_errors_total');
      expect(internal.filter(({ value }) => value > 0)).toEqual([]);
    }
    const outbound = (await samples(rig, 'client', 'request_total')).filter(({ labels }) => labels.direction === 'outbound');
    expect(outbound.map(({ labels }) => [labels.tls, labels.server_id])).toEqual([['true', rig.identityOf('server')]]);
    const inbound = (await samples(rig, 'server', 'request_total')).filter(
      ({ labels }) => labels.direction === 'inbound' && labels.target_port === String(PORT),
    );
    expect(new Map(inbound.map(({ labels }) => [labels.tls, labels.client_id]))).toEqual(
      new Map([
        ['no_identity', undefined],
        ['true', rig.identityOf('client')],
      ]),
    );
  });
});

async function runAll(rig: SidecarRig): Promise<ReadonlyMap<string, readonly Case[]>> {
  try {
    const application = rig.worker<typeof Application>('server', join(import.meta.dirname, 'h2c-application.ts'));
    await application.call('serve', PORT);
    const runs = new Map<string, readonly Case[]>();
    for (const { name, from, host } of TARGETS) {
      const report = join(rig.directory, `h2spec-${from}.xml`);
      const args = ['-h', host, '-p', String(PORT), '-S', '-o', CASE_TIMEOUT_S, '-j', report];
      const { exitCode, stderr } = await rig.run(from, RUN_TIMEOUT_MS, goTool('h2spec'), ...args);
      if (exitCode < 0) throw new Error(`h2spec did not end: ${stderr}`);
      runs.set(name, parseJUnit(readFileSync(report, 'utf8')));
    }
    return runs;
  } catch (error) {
    rig.stop();
    throw error;
  }
}

/** The cases of h2spec's JUnit report. Two cases of one section may share a title; they are then numbered. */
function parseJUnit(xml: string): readonly Case[] {
  const cases: Case[] = [];
  const seen = new Map<string, number>();
  for (const [, section = '', title = '', body = ''] of xml.matchAll(
    /<testcase package="([^"]*)" classname="([^"]*)"[^>]*?>([\s\S]*?)<\/testcase>/g,
  )) {
    const base = `${section} ${unescape(title)}`;
    const count = (seen.get(base) ?? 0) + 1;
    seen.set(base, count);
    const failure = /<(error|failure)[^>]*>([\s\S]*?)<\/\1>/.exec(body)?.[2];
    cases.push({
      name: count === 1 ? base : `${base} (${count})`,
      result: failure !== undefined ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed',
      detail: unescape(failure ?? ''),
    });
  }
  return cases;
}

function unescape(text: string): string {
  return text
    .replaceAll('&#34;', '"')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&amp;', '&');
}
