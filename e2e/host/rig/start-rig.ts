// SPDX-License-Identifier: Apache-2.0
/* Rigs of this directory's suites: two real sidecars whose control plane is described, with the applications and callers of the wire suites. */
import { join } from 'node:path';
import { type NamespaceWorker, SidecarRig, type SidecarRigOptions, type Side } from '@weft/testkit/sidecar-rig';
import { type Samples, parseSamples } from '../samples.ts';
import type * as Application from '../../wire/hosts/application.ts';
import type * as Caller from '../../wire/hosts/caller.ts';
import type * as OddApplication from './odd-application.ts';

/** `WEFT_PROXY_MAIN` = another build of the proxy. */
const PROXY_MAIN = process.env.WEFT_PROXY_MAIN ?? join(import.meta.dirname, '../../../apps/proxy/dist/main.js');

export async function startRig(options: Omit<SidecarRigOptions, 'proxyMain' | 'nodeFlags'>): Promise<SidecarRig> {
  return SidecarRig.start({
    ...options,
    proxyMain: PROXY_MAIN,
    nodeFlags: ['--disable-warning=ExperimentalWarning', '--conditions=weft-source'],
  });
}

export function callerOf(rig: SidecarRig, side: Side): NamespaceWorker<typeof Caller> {
  return rig.worker<typeof Caller>(side, join(import.meta.dirname, '../../wire/hosts/caller.ts'));
}

export function applicationOf(rig: SidecarRig, side: Side): NamespaceWorker<typeof Application> {
  return rig.worker<typeof Application>(side, join(import.meta.dirname, '../../wire/hosts/application.ts'));
}

export function oddApplicationOf(rig: SidecarRig, side: Side): NamespaceWorker<typeof OddApplication> {
  return rig.worker<typeof OddApplication>(side, join(import.meta.dirname, 'odd-application.ts'));
}

export async function samplesOf(rig: SidecarRig, side: 'client' | 'server'): Promise<Samples> {
  return parseSamples(await rig.metrics(side));
}

/** What the echoing application has seen, out of a raw HTTP/1 answer. */
export function seenIn(raw: string): {
  method: string;
  url: string;
  version: string;
  fields: Readonly<Record<string, string>>;
  body: string;
} {
  const json = /\{"method".*\}/s.exec(raw)?.[0];
  if (json === undefined) throw new Error(`no answer of the application: ${raw}`);
  const { rawHeaders, ...rest } = JSON.parse(json) as { method: string; url: string; version: string; rawHeaders: string[]; body: string };
  const fields: Record<string, string> = {};
  for (let i = 0; i < rawHeaders.length; i += 2) fields[(rawHeaders[i] ?? '').toLowerCase()] = rawHeaders[i + 1] ?? '';
  return { ...rest, fields };
}

export function statusOf(raw: string): number {
  return Number(/^HTTP\/1\.[01] (\d{3})/.exec(raw)?.[1]);
}
