// SPDX-License-Identifier: Apache-2.0
/*
 * How a run begins, ends and fails: what Ctrl-C and what a crash leave behind, manifests that break and heal, proxies and an identity service that are
 * given what they cannot use, a token that is somebody else's, a user who may not do this.
 */
import { createHash, createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createCertificate, encodePem, exportPrivateKeyPem, generateKey } from '@weft/pki';
import { type ExecResult, HostMesh, isSameProcess, type PodView, runCommand, type RunProcess, until, weftCommand } from './mesh.ts';

const ROOT = join(import.meta.dirname, '../..');

let mesh: HostMesh;
beforeAll(async () => {
  mesh = await HostMesh.start({ fixture: 'lifecycle', name: 'life' });
});
afterAll(() => mesh?.stop());

/** One request from the client to the server. */
async function answer(): Promise<{ readonly status?: number; readonly headers: Readonly<Record<string, string>> }> {
  const [result] = await mesh.client<{ status?: number; headers: Record<string, string> }[]>(await mesh.pod('e2e', 'client'), 'http1', {
    host: 'server',
  });
  return result ?? { headers: {} };
}

/** Everything on this machine that only this run can have made. */
async function belongings(processes: readonly RunProcess[]): Promise<string[]> {
  const tag = createHash('sha256').update(mesh.name).digest('hex').slice(0, 5);
  const lines = async (...command: string[]): Promise<string[]> => (await runCommand(command)).stdout.split('\n');
  const list = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);
  return [
    ...(await lines('ip', 'netns', 'list')).filter((line) => line.startsWith(`weft.${mesh.name}.`)),
    ...(await lines('ip', '-o', 'link', 'show')).filter((line) => line.includes(`weft${tag}`) || line.includes(`wv${tag}-`)),
    ...(await lines('iptables-save')).filter((line) => line.includes(mesh.name) || line.includes(tag)),
    ...list('/etc/netns').filter((entry) => entry.startsWith(`weft.${mesh.name}.`)),
    ...list('/run/weft').filter((entry) => entry === mesh.name),
    ...processes.filter((one) => isSameProcess(one)).map(({ pid, name }) => `process ${pid} ${name}`),
  ];
}

describe('manifests that break', () => {
  const INVALID = 'port: eighty';

  it('reports file, line and reason, and keeps the last good state in force until the file is healed', async () => {
    const route = readFileSync(join(mesh.directory, 'route.yaml'), 'utf8');
    expect((await answer()).headers['x-state']).toBe('first');
    const broken = route.replace('value: first', 'value: second').replace(/(backendRefs.*)port: 80/, `$1${INVALID}`);
    mesh.write('route.yaml', broken);
    const line = broken.split('\n').findIndex((text) => text.includes(INVALID)) + 1;
    expect(line).toBeGreaterThan(0);
    const report = await until('the report', () => /^route\.yaml:(\d+): (.*)$/m.exec(mesh.text));
    expect(Number(report[1])).toBe(line);
    expect(report[2]).toMatch(/HTTPRoute e2e\/marked: .*port.*integer/);
    expect((await answer()).headers['x-state']).toBe('first');
    mesh.write('route.yaml', broken.replace(INVALID, 'port: 80'));
    await until('the file is in force again', () => mesh.text.includes('route.yaml is in force again'));
    await until('the new state', async () => (await answer()).headers['x-state'] === 'second');
  });

  it('does so for a file that is no YAML, and for a new file, without touching the others', async () => {
    mesh.edit('mesh.yaml', (text) => `${text}broken: [\n`);
    mesh.write('new.yaml', 'apiVersion: v1\nkind: Service\nmetadata: { name: Bad_Name, namespace: e2e }\nspec: { ports: [{ port: 1 }] }\n');
    await until('both reports', () => /^mesh\.yaml:\d+: /m.test(mesh.text) && /^new\.yaml:\d+: .*Bad_Name/m.test(mesh.text));
    expect((await answer()).status).toBe(200);
    expect(await mesh.untilPods('e2e', 'server', 1)).toHaveLength(1);
    mesh.edit('mesh.yaml', (text) => text.replace('broken: [\n', ''));
    mesh.remove('new.yaml');
    await until('the file is in force again', () => mesh.text.includes('mesh.yaml is in force again'));
    expect((await answer()).status).toBe(200);
  });
});

describe('a proxy that is given what it cannot use', () => {
  let client: PodView;
  let command: readonly string[];
  let environment: Readonly<Record<string, string>>;

  beforeAll(async () => {
    client = await mesh.pod('e2e', 'client');
    const [proxy] = mesh.processes(`e2e/${client.name}/linkerd-proxy`);
    const words = (file: string): string[] => readFileSync(`/proc/${proxy?.pid}/${file}`, 'utf8').split('\0').slice(0, -1);
    command = words('cmdline');
    environment = Object.fromEntries(words('environ').map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]));
  });

  /** A second proxy in the client's pod, as its own user, on other ports; ended after some seconds unless it has ended itself. */
  function runProxy(changes: Readonly<Record<string, string>>, seconds = 10): Promise<ExecResult> {
    const ports = {
      INBOUND_LISTEN_ADDR: '0.0.0.0:14143',
      OUTBOUND_LISTEN_ADDR: '127.0.0.1:14140',
      OUTBOUND_LISTEN_ADDRS: '127.0.0.1:14140',
    };
    const admin = { ADMIN_LISTEN_ADDR: '0.0.0.0:14191', CONTROL_LISTEN_ADDR: '0.0.0.0:14190' };
    const all: Record<string, string> = { ...environment };
    for (const [name, value] of Object.entries({ ...ports, ...admin, ...changes })) all[`LINKERD2_PROXY_${name}`] = value;
    const variables = Object.entries(all).map(([name, value]) => `${name}=${value}`);
    const user = ['setpriv', '--reuid', '2102', '--regid', '2102', '--clear-groups'];
    return mesh.exec(client, ['timeout', '-s', 'KILL', String(seconds), ...user, 'env', '-i', ...variables, ...command]);
  }

  it.each([
    ['OUTBOUND_CONNECT_TIMEOUT', 'soon', /duration/],
    ['INBOUND_LISTEN_ADDR', 'nowhere', /IP:port/],
    ['DESTINATION_SVC_ADDR', 'host-without-port', /name:port/],
    ['POLICY_WORKLOAD', '', /not set/],
    ['IDENTITY_TRUST_ANCHORS', 'no certificate', /PEM/],
    ['IDENTITY_DIR', '/nowhere', /directory/],
  ])('ends with 64 and names the variable: %s', async (name, value, reason) => {
    const { code, stdout, stderr } = await runProxy({ [name]: value });
    expect(code).toBe(64);
    const said = `${stdout}${stderr}`;
    expect(said).toContain(`LINKERD2_PROXY_${name}`);
    expect(said).toMatch(reason);
  });

  it('[ID-03] gets no certificate with the token of another account, nor with a forged one, and says why', async () => {
    const server = await mesh.pod('e2e', 'server');
    const token = join('/run/weft', mesh.name, 'pods', server.uid, 'token');
    const directory = mkdtempSync(join(tmpdir(), 'weft-e2e-token-'));
    const copy = join(directory, 'token');
    const outcome = async (text: string): Promise<string> => {
      writeFileSync(copy, text);
      await runCommand(['chown', '-R', '2102:2102', directory]);
      return (await runProxy({ IDENTITY_TOKEN_FILE: copy }, 3)).stdout;
    };
    const identity = (account: string): string => `${account}.e2e.serviceaccount.identity.linkerd.cluster.local`;
    const stolen = await outcome(readFileSync(token, 'utf8'));
    expect(stolen).toContain('Failed to obtain identity');
    expect(stolen).toContain(`requested=${identity('client')}; found=${identity('server')}`);
    expect(stolen).not.toContain('Certified identity');
    const forged = await outcome(readFileSync(token, 'utf8').trim().replace(/.{8}$/, 'AAAAAAAA'));
    expect(forged).toContain('signature is invalid');
    expect(forged).not.toContain('Certified identity');
    rmSync(directory, { recursive: true, force: true });
  });
});

describe('an issuer that cannot be used', () => {
  const HOUR_MS = 3_600_000;
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'weft-e2e-issuer-'));
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  /** The identity service with an issuer valid at these hours from now; resolves when it has ended, and ends it after some seconds. */
  async function startIdentity(fromHours: number, toHours: number, isForeign: boolean): Promise<ExecResult> {
    const nowMs = Date.now();
    const authority = () => {
      const { privateKey, publicKey } = generateKey();
      const certificateDer = createCertificate(
        {
          subject: 'root.linkerd.cluster.local',
          publicKey,
          notBeforeMs: nowMs - 100 * HOUR_MS,
          notAfterMs: nowMs + 100 * HOUR_MS,
          ca: {},
          keyUsage: ['keyCertSign', 'cRLSign'],
        },
        { certificateDer: 'self', privateKey },
      );
      return { certificateDer, privateKey };
    };
    const trusted = authority();
    const { privateKey, publicKey } = generateKey();
    const issuer = createCertificate(
      {
        subject: 'identity.linkerd.cluster.local',
        publicKey,
        notBeforeMs: nowMs + fromHours * HOUR_MS,
        notAfterMs: nowMs + toHours * HOUR_MS,
        ca: { pathLength: 0 },
        keyUsage: ['keyCertSign', 'cRLSign'],
        dnsNames: ['identity.linkerd.cluster.local'],
      },
      isForeign ? authority() : trusted,
    );
    const files = {
      'ca-bundle.crt': encodePem('CERTIFICATE', trusted.certificateDer),
      'crt.pem': encodePem('CERTIFICATE', issuer),
      'key.pem': exportPrivateKeyPem(privateKey),
      'tokens.pem': createPublicKey(generateKey().privateKey).export({ type: 'spki', format: 'pem' }),
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
    mkdirSync(join(directory, 'resources'), { recursive: true });
    const flags = ['-controller-namespace', 'linkerd', '-identity-trust-domain', 'cluster.local', '-identity-scheme', 'linkerd.io/tls'];
    const paths = [`-issuer=${directory}`, `--trust-roots=${directory}`, `--local-token-key=${join(directory, 'tokens.pem')}`];
    const ports = ['--addr=127.0.0.1:0', '--admin-addr=127.0.0.1:0', '--resources', join(directory, 'resources')];
    return runCommand([
      'timeout',
      '2',
      process.execPath,
      join(ROOT, 'apps/controller/dist/main.js'),
      'identity',
      ...flags,
      ...paths,
      ...ports,
    ]);
  }

  it.each([
    ['has expired', -50, -10, /expired at (\S+); now it is (\S+?)"/],
    ['is not valid yet', 10, 50, /not valid before (\S+); now it is (\S+?)"/],
  ])('[ID-06] ends with an error that names both times when the issuer %s', async (_, from, to, pattern) => {
    const { code, stdout } = await startIdentity(from, to, false);
    expect(code).toBe(1);
    expect(stdout).toContain('does not verify against the trust anchors');
    const [, limit = '', now = ''] = pattern.exec(stdout) ?? [];
    expect(Math.abs(Date.parse(now) - Date.parse(limit))).toBeGreaterThan(9 * HOUR_MS);
  });

  it('[ID-06] ends with an error for an issuer of another root, and runs with a good one', async () => {
    const foreign = await startIdentity(-1, 50, true);
    expect(foreign.code).toBe(1);
    expect(foreign.stdout).toContain('certificate signed by unknown authority');
    const good = await startIdentity(-1, 50, false);
    expect(good.stdout).toContain('gRPC server listening');
  });
});

describe('the end of a run', () => {
  it('tells a user who is not root in one line what to type', async () => {
    const { code, stdout, stderr } = await runCommand([
      ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
      ...weftCommand('run', mesh.directory, '--name', 'e2e-nobody'),
    ]);
    expect(code).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^weft run needs root[^\n]*type: sudo weft run [^\n]*\n$/);
    expect(existsSync('/run/weft/e2e-nobody')).toBe(false);
  });

  it('refuses a second run of the same name', async () => {
    const { code, stdout, stderr } = await runCommand(weftCommand('run', mesh.directory, '--name', mesh.name, '--no-view'));
    expect(code).toBe(1);
    expect(`${stdout}${stderr}`).toContain('is already running');
    expect((await answer()).status).toBe(200);
  });

  it('after kill -9 leaves what the next start removes', async () => {
    const processes = mesh.processes();
    const before = await belongings(processes);
    expect(before.length).toBeGreaterThan(processes.length + 8);
    const oldPods = (await mesh.pods('e2e')).map((pod) => mesh.netnsOf(pod));
    mesh.child.kill('SIGKILL');
    await until('the run is dead', () => mesh.child.signalCode === 'SIGKILL');
    // Its pods' processes die with it; what the kernel keeps is still there.
    await until('its processes are dead', () => !processes.some((one) => isSameProcess(one)));
    expect((await belongings(processes)).length).toBeGreaterThan(8);
    await mesh.restart();
    expect(mesh.text).toMatch(/removed what an earlier run had left: .*[1-9]\d* namespaces/);
    const { stdout } = await runCommand(['ip', 'netns', 'list']);
    for (const name of oldPods) expect(stdout).not.toContain(name);
    expect((await answer()).status).toBe(200);
  });

  it('after Ctrl-C leaves nothing', async () => {
    const processes = mesh.processes();
    expect((await belongings(processes)).length).toBeGreaterThan(processes.length);
    expect(await mesh.end('SIGINT')).toBe(0);
    expect(await belongings(processes)).toEqual([]);
  });
});
