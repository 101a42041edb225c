// SPDX-License-Identifier: Apache-2.0
/* `weft profile` as its users run it: a description in, a ServiceProfile out that the control plane admits. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reviewServiceProfile } from '@weft/admission';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runProgram } from '../program.ts';
import { startFakeCluster } from '../testdata/fake-cluster.ts';
import { clusterDomain } from './profile.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-profile-'));
  writeFileSync(join(directory, 'api.yaml'), 'openapi: 3.0.0\npaths: { "/a/{id}": { get: { responses: { "500": {} } } } }\n');
  writeFileSync(join(directory, 'empty.proto'), 'syntax = "proto3";\nmessage A {}\n');
  writeFileSync(join(directory, 'shop.proto'), 'package shop;\nservice Books { rpc Get(A) returns (A); }\n');
});
afterAll(() => rmSync(directory, { recursive: true }));

async function profile(...argv: string[]): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const output = { out: (text: string) => void out.push(text), err: (text: string) => void err.push(text) };
  const words = argv.map((word) => (word.includes('.') && !word.startsWith('-') ? join(directory, word) : word));
  const code = await runProgram(['profile', ...words], output);
  return { code, out: out.join(''), err: err.join('') };
}

const WAYS: readonly (readonly string[])[] = [['--template'], ['--open-api', 'api.yaml'], ['--proto', 'shop.proto']];

describe('[CLI-29] weft profile', () => {
  it.each(WAYS)('%s %s gives an object that is admitted without a warning, in YAML as in JSON', async (...way) => {
    const yaml = await profile('web', '-n', 'shop', '--ignore-cluster', ...way);
    expect(yaml).toMatchObject({ code: 0, err: '' });
    const object = parse(yaml.out, { version: '1.1' }) as object;
    expect(object).toMatchObject({
      apiVersion: 'linkerd.io/v1alpha2',
      kind: 'ServiceProfile',
      metadata: { name: 'web.shop.svc.cluster.local', namespace: 'shop' },
    });
    const kind = { group: 'linkerd.io', version: 'v1alpha2', kind: 'ServiceProfile' };
    expect(reviewServiceProfile({ uid: '1', kind, operation: 'CREATE', object } as Parameters<typeof reviewServiceProfile>[0])).toEqual({
      allowed: true,
    });
    const json = await profile('web', '-n', 'shop', '--ignore-cluster', '-o', 'json', ...way);
    expect(JSON.parse(json.out)).toEqual(object);
  });

  it('makes routes of path templates', async () => {
    const { out } = await profile('web', '--ignore-cluster', '--open-api', 'api.yaml');
    expect(parse(out)).toMatchObject({
      metadata: { name: 'web.default.svc.cluster.local', namespace: 'default' },
      spec: { routes: [{ name: 'GET /a/{id}', condition: { method: 'GET', pathRegex: '/a/[^/]*' } }] },
    });
  });

  it('says that there is nothing to make routes of', async () => {
    const { code, out, err } = await profile('web', '--ignore-cluster', '--proto', 'empty.proto');
    expect([code, err]).toEqual([0, expect.stringMatching(/empty\.proto describes no method/)]);
    expect(parse(out)).toMatchObject({ spec: { routes: [] } });
  });

  it.each([
    [['web'], 2, /one of --template, --open-api and --proto/],
    [['web', '--template', '--proto', 'shop.proto'], 2, /one of/],
    [['Web', '--template'], 2, /Web is no name of a Service/],
    [[`a${'b'.repeat(63)}`, '--template'], 2, /is no name of a Service/],
    [['web', '--template', '-n', 'No'], 2, /No is no name of a namespace/],
    [['web', '--proto', 'none.proto'], 1, /cannot read .*none\.proto/],
    [['web', '--open-api', 'shop.proto'], 1, /shop\.proto/],
  ])('refuses %j with %i', async (argv, code, reason) => {
    const outcome = await profile('--ignore-cluster', ...argv);
    expect(outcome).toMatchObject({ code, out: '' });
    expect(outcome.err).toMatch(reason);
  });

  it.each([
    ['clusterDomain: example.org\n', 'example.org'],
    ['{}', 'cluster.local'],
  ])('takes the domain of the control plane with %j', async (values, domain) => {
    const cluster = await startFakeCluster([
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'linkerd-config', namespace: 'linkerd' }, data: { values } },
    ]);
    try {
      expect(await clusterDomain(cluster, 'linkerd')).toBe(domain);
    } finally {
      await cluster.end();
    }
  });
});
