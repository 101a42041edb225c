// SPDX-License-Identifier: Apache-2.0
/*
 * Endpoints that change fifty times a second, their addresses passing to other identities, to pods without proxy, to nobody and back; a third of
 * the changes happen before the control plane tells of them, and it drops its streams now and then. Whatever a proxy believes, an answer of
 * a wrong identity is never accepted, and no request fails while a right one lives. Fifty seconds; WEFT_CHURN_MINUTES=10 for the long run.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createTestMesh, type TestMesh } from '@weft/pki/testing';
import type { ControlStubConfig, StubEndpoint, StubTarget } from '@weft/testkit/control-stub';
import { type NamespaceWorker, SidecarRig } from '@weft/testkit/sidecar-rig';
import type * as Destinations from './churn/destinations.ts';
import type * as Hosts from './churn/hosts.ts';
import type * as Load from './churn/load.ts';
import { parseSamples } from './samples.ts';

const PROXY_MAIN = process.env.WEFT_PROXY_MAIN ?? join(import.meta.dirname, '../../apps/proxy/dist/main.js');
const SECONDS = process.env.WEFT_CHURN_MINUTES === undefined ? 50 : Number(process.env.WEFT_CHURN_MINUTES) * 60;
const CHANGES_PER_SECOND = 50;
const REQUESTS_PER_SECOND = 150;
const NAMESPACE = 'churn';
const HTTP_PORT = 8080;
const OPAQUE_PORT = 9000;
const IPS = Array.from({ length: 32 }, (_, index) => `10.231.0.${100 + index}`);
const SERVICES = { alpha: '10.96.50.1', beta: '10.96.50.2' } as const;
type Service = keyof typeof SERVICES;
/** Announced addresses that each service always has, so that there is always one that lives. */
const MIN_LIVE = 4;
/** Between the word of the control plane and the change itself, or the other way round. */
const NOTICE_MS = 150;
const OUTAGE_EVERY_MS = 15_000;

let rig: SidecarRig;
let mesh: TestMesh;
let hosts: NamespaceWorker<typeof Hosts>;
let destinations: NamespaceWorker<typeof Destinations>;
let load: NamespaceWorker<typeof Load>;

const identityOf = (name: string): string => mesh.identityOf(name, NAMESPACE);
const module = (name: string): string => join(import.meta.dirname, 'churn', name);
const pathOf = (service: Service, port: number): string => `${service}.${NAMESPACE}.svc.cluster.local:${port}`;

function endpointOf(service: Service, ip: string, port: number): StubEndpoint {
  return { ip, port, identity: identityOf(service), hint: port === OPAQUE_PORT ? 'opaque' : 'h2' };
}

function targets(): StubTarget[] {
  return (Object.keys(SERVICES) as Service[]).flatMap((service) =>
    ([HTTP_PORT, OPAQUE_PORT] as const).map((port) => ({
      ip: SERVICES[service],
      port,
      service,
      namespace: NAMESPACE,
      protocol: port === OPAQUE_PORT ? ('opaque' as const) : ('detect' as const),
      endpoints: [],
    })),
  );
}

beforeAll(async () => {
  mesh = createTestMesh();
  rig = await SidecarRig.start({
    proxyMain: PROXY_MAIN,
    nodeFlags: ['--disable-warning=ExperimentalWarning', '--conditions=weft-source'],
    mesh,
    addresses: { client: '10.231.0.1', server: '10.231.0.2', peer: '10.231.0.3', alsoPeer: IPS },
    namespace: NAMESPACE,
    control: { server: { targets: [] }, client: { targets: targets() } },
    env: { client: { LINKERD2_PROXY_DESTINATION_SVC_ADDR: '127.0.0.1:8087' } },
  });
  hosts = rig.worker<typeof Hosts>('peer', module('hosts.ts'));
  destinations = rig.worker<typeof Destinations>('client', module('destinations.ts'));
  load = rig.worker<typeof Load>('client', module('load.ts'));
  const credentials = Object.fromEntries(
    ['alpha', 'beta', 'gamma'].map((name) => {
      const leaf = mesh.leafFor(identityOf(name));
      return [identityOf(name), { key: leaf.privateKeyPem, cert: leaf.chainPem }];
    }),
  );
  await hosts.call('serve', IPS, HTTP_PORT, OPAQUE_PORT, credentials, mesh.trustAnchorsPem.join(''));
  const config: ControlStubConfig = {
    address: '127.0.0.1:8087',
    issuerCertificatePem: mesh.issuer.certificatePem,
    issuerKeyPem: mesh.issuer.privateKeyPem,
    targets: targets(),
  };
  await destinations.call('serve', config);
});
afterAll(() => rig?.stop());

/** Who an address passes to: a workload of a service, one of no service, a pod without proxy, nobody. */
type Holder = Service | 'gamma' | 'bare' | 'nobody';

/** What the world is, and what the control plane has said of it. */
class Churn {
  changes = 0;
  /** Changes by the holder that came. */
  readonly byHolder: Record<string, number> = {};
  private readonly holders = new Map<string, Holder>();
  /** Addresses in the middle of a change. */
  private readonly busy = new Set<string>();
  private readonly pending = new Set<Promise<void>>();

  async begin(): Promise<void> {
    for (const [index, ip] of IPS.entries()) await this.pass(ip, index % 2 === 0 ? 'alpha' : 'beta', false);
  }

  /** Changes one address, unless a service would have too few left. */
  step(): void {
    const free = IPS.filter((ip) => !this.busy.has(ip));
    const ip = free[Math.floor(Math.random() * free.length)];
    if (ip === undefined) return;
    const from = this.holders.get(ip);
    if ((from === 'alpha' || from === 'beta') && this.live(from) <= MIN_LIVE) return;
    const choices: readonly Holder[] = ['alpha', 'beta', 'alpha', 'beta', 'gamma', 'bare', 'nobody'];
    const to = choices[Math.floor(Math.random() * choices.length)] as Holder;
    if (to === from) return;
    this.changes += 1;
    this.byHolder[to] = (this.byHolder[to] ?? 0) + 1;
    const passing: Promise<void> = this.pass(ip, to, Math.random() < 1 / 3).finally(() => this.pending.delete(passing));
    this.pending.add(passing);
  }

  async settle(): Promise<void> {
    await Promise.all(this.pending);
  }

  /** Addresses of a service that nothing is happening to. */
  private live(service: Service): number {
    let count = 0;
    for (const [ip, holder] of this.holders) if (holder === service && !this.busy.has(ip)) count += 1;
    return count;
  }

  private async pass(ip: string, to: Holder, isUnannounced: boolean): Promise<void> {
    const from = this.holders.get(ip);
    this.busy.add(ip);
    this.holders.set(ip, to);
    const holder = to === 'nobody' ? null : to === 'bare' ? 'bare' : identityOf(to);
    const change = async (): Promise<void> => hosts.call('hand', ip, holder);
    const leave = async (): Promise<void> => destinations.call('tell', this.entries(ip, from), []);
    const arrive = async (): Promise<void> => destinations.call('tell', [], this.entries(ip, to));
    if (isUnannounced) {
      await change();
      await sleep(NOTICE_MS);
      await leave();
    } else {
      await leave();
      await sleep(NOTICE_MS);
      await change();
    }
    await arrive();
    this.busy.delete(ip);
  }

  private entries(ip: string, holder: Holder | undefined): [string, StubEndpoint][] {
    if (holder !== 'alpha' && holder !== 'beta') return [];
    return [HTTP_PORT, OPAQUE_PORT].map((port) => [pathOf(holder, port), endpointOf(holder, ip, port)]);
  }
}

it(
  '[LB-20] [ID-02] accepts no answer of a wrong identity and fails nothing while addresses change hands',
  { timeout: (SECONDS + 60) * 1000 },
  async () => {
    const churn = new Churn();
    await churn.begin();
    const targetsOfLoad: Load.LoadTarget[] = (Object.keys(SERVICES) as Service[]).map((service) => ({
      ip: SERVICES[service],
      httpPort: HTTP_PORT,
      opaquePort: OPAQUE_PORT,
      identities: [identityOf(service)],
    }));
    await load.call('start', targetsOfLoad, REQUESTS_PER_SECOND, SECONDS);
    const startedMs = performance.now();
    const rssAnonMb: number[] = [];
    let outageMs = OUTAGE_EVERY_MS;
    for (;;) {
      const elapsedMs = performance.now() - startedMs;
      if (elapsedMs > SECONDS * 1000) break;
      const due = (elapsedMs / 1000) * CHANGES_PER_SECOND;
      // Steps that find nothing to change are made up for.
      for (let tries = 0; churn.changes < due && tries < 20; tries++) churn.step();
      if (elapsedMs > outageMs) {
        outageMs += OUTAGE_EVERY_MS;
        await destinations.call('endStreams');
        rssAnonMb.push(Math.round(rig.privateBytes('client') / 1e6));
      }
      await sleep(10);
    }
    await churn.settle();
    const report = await load.call('result');
    const answered = await hosts.call('answered');
    const page = parseSamples(await rig.metrics('client'));
    const perSecond = churn.changes / ((performance.now() - startedMs) / 1000);
    console.log(
      JSON.stringify({
        seconds: SECONDS,
        changes: churn.changes,
        perSecond: Math.round(perSecond * 10) / 10,
        byHolder: churn.byHolder,
        ...report,
        answered,
        rssAnonMb,
      }),
    );
    for (const kind of ['http1', 'http2', 'opaque'] as const) {
      const { begun, done, failed, wrong } = report.tallies[kind];
      expect({ kind, failed, wrong, problems: failed + wrong === 0 ? [] : report.problems }).toEqual({
        kind,
        failed: 0,
        wrong: 0,
        problems: [],
      });
      expect(done).toBe(begun);
      expect(begun).toBeGreaterThan((REQUESTS_PER_SECOND / 3) * SECONDS * 0.99);
    }
    // It was churn: many changes, and wrong ones stood behind addresses that were believed in.
    expect(perSecond).toBeGreaterThan(CHANGES_PER_SECOND * 0.8);
    expect(answered[identityOf('gamma')] ?? 0).toBe(0);
    expect(page.sum('response_total', { direction: 'outbound', tls: 'no_identity' })).toBe(0);
    expect(rig.isAlive('client')).toBe(true);
  },
);
