// SPDX-License-Identifier: Apache-2.0
/* The images run as Kubernetes runs them: the users, privileges and read-only roots of injected pods and of the control plane. */
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { joinArchives } from '@weft/oci';
import { createCertificate, encodePem } from '@weft/pki';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ARCHITECTURES, NAMES, VERSION, archivePath } from './built-images.ts';
import { ContainerHost, type ContainerOptions, type ContainerOutcome, capabilitySets } from './containers.ts';

const reference = (name: string): string => `ghcr.io/weft-mesh/${name}:${VERSION}`;
const PROXY = reference('proxy');
const NO_CAPABILITIES = '0000000000000000';

let host: ContainerHost;

beforeAll(async () => {
  host = await ContainerHost.start(NAMES.map((name) => archivePath(name, 'amd64')));
});

afterAll(async () => {
  await host.close();
});

beforeEach(() => {
  host.makeNamespace();
});

/** `linkerd-init` of an injected pod (control-contract §4.5). */
const INIT: ContainerOptions = {
  image: PROXY,
  command: ['/usr/lib/linkerd/linkerd2-proxy-init'],
  uid: 65534,
  gid: 65534,
  capabilities: ['CAP_NET_ADMIN', 'CAP_NET_RAW'],
  canGainPrivileges: false,
  emptyDirs: ['/run'],
};
const PORTS =
  '--incoming-proxy-port 4143 --outgoing-proxy-port 4140 --proxy-uid 2102 --inbound-ports-to-ignore 4190,4191,4567,4568 --outbound-ports-to-ignore 4567,4568';
const MODES: Readonly<Record<string, string>> = {
  nft: '--firewall-bin-path iptables-nft --firewall-save-bin-path iptables-nft-save',
  legacy: '',
};
const words = (text: string): string[] => text.split(' ').filter((word) => word !== '');

function init(flags: string, changes: Partial<ContainerOptions> = {}, copy?: string): ContainerOutcome {
  return host.run({ ...INIT, args: words(flags), ...changes }, copy);
}

function rules(save: string): string[] {
  return host
    .inNamespace(save, '-t', 'nat')
    .output.split('\n')
    .filter((line) => line.startsWith('-A'));
}

describe('archives', () => {
  it('are imported by containerd under the names that the charts use', () => {
    expect(host.images().sort()).toEqual(NAMES.map(reference).sort());
  });

  it('are imported for arm64, too', () => {
    for (const name of NAMES) expect(host.importForeign(archivePath(name, 'arm64'), 'linux/arm64')).toBe(reference(name));
  });
});

describe('the archive of both architectures', () => {
  it.each(['linux/amd64', 'linux/arm64'])('is imported for %s', (platform) => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-joined-'));
    try {
      const path = join(directory, 'proxy.tar');
      writeFileSync(
        path,
        Buffer.concat(joinArchives(ARCHITECTURES.map((architecture) => readFileSync(archivePath('proxy', architecture))))),
      );
      expect(host.importForeign(path, platform)).toBe(reference('proxy'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe('the init step', () => {
  it.each(Object.keys(MODES))(
    '[NET-01] sets its rules with %s iptables as user 65534, without new privileges, with NET_ADMIN and NET_RAW only',
    (mode) => {
      const { status, output } = init(`${MODES[mode]} --ipv6=false ${PORTS}`);
      expect({ status, output }).toMatchObject({ status: 0 });
      const found = rules(`iptables-${mode}-save`);
      expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/^-A PREROUTING .*-j PROXY_INIT_REDIRECT/)]));
      expect(found).toEqual(expect.arrayContaining([expect.stringMatching(/--uid-owner 2102 .*-j RETURN/)]));
      expect(found.some((rule) => rule.includes('-j REDIRECT --to-ports 4143'))).toBe(true);
      expect(found.some((rule) => rule.includes('-j REDIRECT --to-ports 4140'))).toBe(true);
      // The other kernel interface stays empty.
      expect(rules(`iptables-${mode === 'nft' ? 'legacy' : 'nft'}-save`)).toEqual([]);
    },
  );

  it.each(Object.keys(MODES))('[NET-01] sets rules of IPv6 with %s iptables as well', (mode) => {
    expect(init(`${MODES[mode]} ${PORTS}`)).toMatchObject({ status: 0 });
    expect(rules(`ip6tables-${mode}-save`).some((rule) => rule.includes('-j REDIRECT --to-ports 4143'))).toBe(true);
  });

  it('[NET-01] can run again over its own rules', () => {
    expect(init(`${MODES['nft']} --ipv6=false ${PORTS}`)).toMatchObject({ status: 0 });
    const once = rules('iptables-nft-save');
    expect(init(`${MODES['nft']} --ipv6=false ${PORTS}`)).toMatchObject({ status: 0 });
    expect(rules('iptables-nft-save')).toEqual(once);
  });

  it('works as root, too', () => {
    expect(init(`${MODES['nft']} --ipv6=false ${PORTS}`, { uid: 0, gid: 0 })).toMatchObject({ status: 0 });
    expect(rules('iptables-nft-save').length).toBeGreaterThan(0);
  });

  it('needs the capabilities of its file: without them, it sets no rule', () => {
    const root = host.rootDirectory(PROXY, 'bare');
    expect(spawnSync('setcap', ['-r', join(root, 'usr/lib/linkerd/linkerd2-proxy-init')]).status).toBe(0);
    expect(init(`${MODES['nft']} --ipv6=false ${PORTS}`, {}, 'bare').status).not.toBe(0);
    expect(rules('iptables-nft-save')).toEqual([]);
  });

  it('gains nothing that the pod was not given', () => {
    const { status } = init(`${MODES['nft']} --ipv6=false ${PORTS}`, { capabilities: [] });
    expect(status).not.toBe(0);
    expect(rules('iptables-nft-save')).toEqual([]);
  });

  it('lets the network validator see its rules, and fail without them', () => {
    const validator: ContainerOptions = {
      image: PROXY,
      command: ['/usr/lib/linkerd/linkerd2-network-validator'],
      args: words('--log-format plain --log-level debug --connect-addr 1.1.1.1:20001 --listen-addr 0.0.0.0:4140 --timeout 3s'),
      uid: 65534,
      gid: 65534,
      capabilities: [],
      canGainPrivileges: false,
    };
    expect(host.run(validator)).toMatchObject({ status: 95 });
    expect(init(`${MODES['nft']} --ipv6=false ${PORTS}`)).toMatchObject({ status: 0 });
    expect(host.run(validator)).toMatchObject({ status: 0 });
  });
});

describe('the proxy', () => {
  const SIDECAR: ContainerOptions = {
    image: PROXY,
    capabilities: ['CAP_NET_ADMIN', 'CAP_NET_RAW', 'CAP_NET_BIND_SERVICE', 'CAP_SETUID'],
    canGainPrivileges: false,
    emptyDirs: ['/var/run/linkerd/identity/end-entity'],
    files: { '/var/run/secrets/tokens/linkerd-identity-token': 'a.b.c' },
  };

  it.each([
    ['/usr/lib/linkerd/linkerd2-proxy', false],
    ['/usr/lib/linkerd/linkerd2-proxy-identity', true],
  ])('%s has no capability as user 2102, whatever the pod has (escalation allowed: %s)', async (executable, canGainPrivileges) => {
    const proxy = await host.start({ ...SIDECAR, canGainPrivileges, command: [executable], environment: proxyEnvironment() });
    try {
      await until(
        () => host.inNamespace('curl', '-sf', 'http://127.0.0.1:4191/live').status === 0,
        () => proxy.output(),
      );
      expect(capabilitySets(proxy.pid)).toMatchObject({
        Uid: '2102',
        CapEff: NO_CAPABILITIES,
        CapPrm: NO_CAPABILITIES,
        CapInh: NO_CAPABILITIES,
        CapAmb: NO_CAPABILITIES,
        NoNewPrivs: canGainPrivileges ? '0' : '1',
      });
    } finally {
      await proxy.stop();
    }
  });

  it('says what is missing, and ends, without configuration', () => {
    const { status, output } = host.run(SIDECAR);
    expect(status).toBe(64);
    expect(output).toMatch(/Invalid configuration: LINKERD2_PROXY_/);
  });

  it('has the command that waits before it stops, and no shell', () => {
    expect(host.run({ ...SIDECAR, command: ['/bin/sleep', '0'] })).toMatchObject({ status: 0 });
    expect(host.run({ ...SIDECAR, command: ['/bin/sh', '-c', 'true'] }).output).toMatch(/no such file/);
  });

  it('has a waiter that gives up in time', () => {
    const { status } = host.run({ ...SIDECAR, command: ['/usr/lib/linkerd/linkerd-await'], args: ['--timeout=1s', '--port=4191'] });
    expect(status).not.toBe(0);
    expect(status).not.toBe(126);
  });
});

describe('the controller', () => {
  it('runs as its own user with a read-only root and without capabilities', () => {
    const { status, output } = host.run({ image: reference('controller'), args: ['--help'], capabilities: [], canGainPrivileges: false });
    expect({ status, output }).toMatchObject({ status: 0 });
    for (const command of ['destination', 'identity', 'policy']) expect(output).toContain(command);
  });
});

describe('the CNI image', () => {
  it('holds a plugin that runs by itself', () => {
    const { status, output } = host.run({
      image: reference('cni'),
      command: ['/opt/cni/bin/weft-cni'],
      environment: { CNI_COMMAND: 'VERSION' },
      capabilities: [],
    });
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toContain('supportedVersions');
  });
});

describe('the debug image', () => {
  it('[INJ-17] shows the traffic of the pod as an ordinary user', async () => {
    const debug = await host.start({ image: reference('debug'), isRootWritable: true });
    try {
      expect(capabilitySets(debug.pid)).toMatchObject({ Uid: '65534' });
      await until(
        () => {
          host.inNamespace('curl', '-s', '--max-time', '1', 'http://127.0.0.1:4191/');
          return /127\.0\.0\.1 .* TCP .*4191 \[SYN\]/.test(debug.output());
        },
        () => debug.output(),
      );
    } finally {
      await debug.stop();
    }
  });

  it.each([
    ['tshark --version', /^TShark/m],
    ['tcpdump --version', /^tcpdump version/m],
    ['tcpdump -D', /any/],
    ['lsof -v', /lsof version information/],
    ['ip -brief addr', /eth0@eth1\s+UP\s+10\.98\.0\.2\/24/],
    ['ss -tln', /^State/m],
    ['curl --version', /^curl/m],
    ['dig -v', /^DiG/m],
    ['jq --version', /^jq-/m],
    ['openssl version', /^OpenSSL/m],
    ['nghttp --version', /^nghttp/m],
    ['conntrack --version', /^conntrack/m],
    ['nft --version', /^nftables/m],
    ['iptables --version', /^iptables .*nf_tables/m],
    ['ps --version', /^ps from procps/m],
    ['bash -c true', /^$/],
    ['true', /^$/],
  ])('[INJ-17] has `%s`', (command, expected) => {
    const { status, output } = host.run({ image: reference('debug'), command: words(command), isRootWritable: true });
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(output).toMatch(expected);
  });
});

describe('the image of the demonstration', () => {
  const demo: ContainerOptions = { image: reference('demo'), capabilities: [], canGainPrivileges: false };
  const ASKED = ['-H', 'content-type: application/grpc', '--data', '', 'http://127.0.0.1:50051/demo.Feed/None'];
  const GRPC = ['curl', '-s', '--http2-prior-knowledge', '--dump-header', '-', ...ASKED];

  it.each([
    [[], ['curl', '-sf', 'http://127.0.0.1:8080/'], /"version":"v1"/],
    [['node', 'apps/api.mjs'], ['curl', '-sf', '--http2-prior-knowledge', 'http://127.0.0.1:8081/'], /anvil/],
    [['node', 'apps/chat.mjs'], ['curl', '-sf', 'http://127.0.0.1:8082/'], /^ok$/m],
    [['node', 'apps/feed.mjs'], GRPC, /^grpc-status: 12/m],
  ])('serves with the command %j, read-only and without capabilities', async (command, request, expected) => {
    const service = await host.start(command.length === 0 ? demo : { ...demo, command });
    try {
      expect(capabilitySets(service.pid)).toMatchObject({ Uid: '65534', CapEff: NO_CAPABILITIES, NoNewPrivs: '1' });
      let answer = '';
      await until(
        () => (answer = host.inNamespace(...request).output) !== '',
        () => service.output(),
      );
      expect(answer).toMatch(expected);
    } finally {
      await service.stop();
    }
  });

  it('runs Redis as the manifest has it, and asks it', async () => {
    const command = ['redis-server', '--bind', '0.0.0.0', '--protected-mode', 'no', '--save', '', '--appendonly', 'no'];
    const redis = await host.start({ ...demo, command });
    try {
      let answer: ContainerOutcome = { status: 1, output: '' };
      await until(
        () => (answer = host.run({ ...demo, command: ['redis-cli', 'ping'] })).status === 0,
        () => redis.output(),
      );
      expect(answer.output).toBe('PONG\n');
    } finally {
      await redis.stop();
    }
  });
});

async function until(isDone: () => boolean, output: () => string): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (isDone()) return;
    await sleep(200);
  }
  throw new Error(`it did not happen; the container wrote:\n${output()}`);
}

/** What the injector sets at least; the control plane that it names is not there. */
function proxyEnvironment(): Record<string, string> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const anchor = createCertificate(
    {
      subject: 'root.linkerd.cluster.local',
      publicKey,
      notBeforeMs: Date.now() - 3_600_000,
      notAfterMs: Date.now() + 3_600_000,
      ca: {},
      keyUsage: ['keyCertSign', 'cRLSign'],
    },
    { certificateDer: 'self', privateKey },
  );
  const settings = {
    DESTINATION_SVC_ADDR: 'localhost.:8086',
    POLICY_SVC_ADDR: 'localhost.:8090',
    IDENTITY_SVC_ADDR: 'localhost.:8080',
    POLICY_WORKLOAD: '{"ns":"shop", "pod":"server"}',
    IDENTITY_TRUST_ANCHORS: encodePem('CERTIFICATE', anchor),
    IDENTITY_LOCAL_NAME: 'server.shop.serviceaccount.identity.linkerd.cluster.local',
    IDENTITY_DIR: '/var/run/linkerd/identity/end-entity',
    IDENTITY_TOKEN_FILE: '/var/run/secrets/tokens/linkerd-identity-token',
  };
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [`LINKERD2_PROXY_${name}`, value]));
}
