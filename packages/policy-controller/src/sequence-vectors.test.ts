// SPDX-License-Identifier: Apache-2.0
/*
 * Recorded streams that stayed open while objects changed, replayed over the schemas of the chart: each step must bring the same messages, one per
 * effective change, and the same end. Routes get their status from our own status writer on the way, as they did from the reference's.
 */
import { readFileSync } from 'node:fs';
import { type VectorJson, equalAsVectors, vectorDifference } from '@weft/proto/testing';
import { type ResourceInput, type ResourceKind, ServiceKind, allKinds, kindOf, readCustomTypes } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { type ManualWorld, settle, startWorld, vectorPath } from './testing/manual-world.ts';
import { type VectorRequest, callVector } from './testing/recorded-call.ts';

const CHART = new URL('../../../charts/weft-crds/files', import.meta.url);

/** Sequences in which the reference sent one message twice; Weft never does (DIFFERENCES.md). */
const WITH_REPEATED_MESSAGE: ReadonlySet<string> = new Set(['server-opaque-deleted']);

interface Step {
  readonly step: number;
  readonly what: string;
  readonly manifest?: string;
  readonly kubectl?: string;
}

interface RecordedStream extends VectorRequest {
  readonly message: { readonly addr?: { readonly ip: { readonly ipv4: number } } };
  readonly responses: readonly { readonly after_step: number; readonly message: VectorJson }[];
  readonly status: { readonly code: number; readonly details: string; readonly after_step: number } | null;
}

function readText(path: string): string {
  return readFileSync(vectorPath(path), 'utf8');
}

/** Objects of a manifest, pods with the label that an injector gives them. */
function manifestObjects(text: string): ResourceInput[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as ResourceInput | null)
    .filter((object) => object !== null)
    .map((object) => {
      const { annotations, labels } = object.metadata;
      if (object.kind !== 'Pod' || annotations?.['linkerd.io/inject'] !== 'enabled') return object;
      return { ...object, metadata: { ...object.metadata, labels: { ...labels, 'linkerd.io/control-plane-ns': 'linkerd' } } };
    });
}

function kindNamed(word: string): ResourceKind {
  if (word === 'svc') return ServiceKind;
  const kind = allKinds.find(
    (candidate) =>
      word === candidate.kind.toLowerCase() ||
      word === `${candidate.kind.toLowerCase()}.${candidate.group}` ||
      word === `${candidate.plural}.${candidate.group}`,
  );
  if (kind === undefined) throw new Error(`no kind is called ${word}`);
  return kind;
}

/** What kubectl did in the recorded steps: delete, or annotate a Service. */
async function kubectl(world: ManualWorld, command: string): Promise<void> {
  const [, namespace = '', verb, word = '', name = '', argument = ''] = command.split(' ');
  if (verb === 'delete') {
    await world.source.delete(kindNamed(word), namespace, name);
    return;
  }
  const [key = '', value] = argument.replace(/-$/, '').split('=');
  const patch = { metadata: { annotations: { [key]: value ?? null } } };
  await world.source.patch(ServiceKind, namespace, name, patch, 'test');
}

async function takeStep(world: ManualWorld, step: Step): Promise<void> {
  if (step.kubectl !== undefined) await kubectl(world, step.kubectl);
  for (const object of manifestObjects(step.manifest ?? '')) {
    await world.source.apply(kindOf(object) as ResourceKind, object, 'test');
  }
  await settle();
  await world.controller.statusController.whenIdle();
  await settle();
}

/** Gives the Service that a stream asks for by address that address. */
function withClusterIps(objects: readonly ResourceInput[], streams: readonly RecordedStream[], owner: string): ResourceInput[] {
  const numeric = streams.find(({ message }) => message.addr !== undefined)?.message.addr?.ip.ipv4;
  if (numeric === undefined) return [...objects];
  const clusterIP = [24, 16, 8, 0].map((shift) => (numeric >>> shift) & 255).join('.');
  return objects.map((object) =>
    object.kind === 'Service' && object.metadata.name === owner
      ? { ...object, spec: { ...(object['spec'] as object), clusterIP, clusterIPs: [clusterIP] } }
      : object,
  );
}

/** Messages as recorded, less those that only repeat the one before. */
function withoutRepeats(responses: RecordedStream['responses']): RecordedStream['responses'] {
  return responses.filter((response, i) => {
    const before = responses[i - 1];
    return before === undefined || !equalAsVectors(response.message, before.message);
  });
}

/** Replays one sequence on a world that is as the recording began; returns what differs. */
async function replay(world: ManualWorld, name: string): Promise<string[]> {
  const { steps } = JSON.parse(readText(`sequences/${name}/steps.json`)) as { readonly steps: readonly Step[] };
  const streams = readStreams(name);
  const calls: Awaited<ReturnType<typeof callVector>>[] = [];
  for (const stream of streams) calls.push(await callVector(world.controller, stream));
  const seen: { after_step: number; message: VectorJson }[][] = calls.map(() => []);
  const ends: ({ code: number; details: string; after_step: number } | null)[] = calls.map(() => null);
  const collect = (step: number): void => {
    for (const [i, call] of calls.entries()) {
      for (const message of call.messages.splice(0)) seen[i]?.push({ after_step: step, message });
      if (call.status !== null) ends[i] ??= { ...call.status, after_step: step };
    }
  };
  await settle();
  collect(0);
  for (const step of steps) {
    await takeStep(world, step);
    collect(step.step);
  }
  return streams.flatMap((stream, i) => {
    const responses = stream.responses.map(({ after_step, message }) => ({ after_step, message }));
    const wanted = WITH_REPEATED_MESSAGE.has(name) ? withoutRepeats(responses) : responses;
    const actual = { responses: seen[i] ?? [], status: ends[i] ?? 'open' } as unknown as VectorJson;
    const expected = { responses: wanted, status: stream.status ?? 'open' } as unknown as VectorJson;
    const difference = vectorDifference(actual, expected);
    return difference === undefined ? [] : [`stream ${i}: ${difference}`];
  });
}

/** The recorded streams of the policy APIs. */
function readStreams(name: string): RecordedStream[] {
  return (JSON.parse(readText(`sequences/${name}/streams.json`)) as RecordedStream[]).filter(({ method }) =>
    /inbound|outbound/.test(method),
  );
}

async function worldOf(name: string, service: string): Promise<ManualWorld> {
  const { types } = await readCustomTypes(CHART.pathname);
  const objects = withClusterIps(manifestObjects(readText(`sequences/${name}/manifests.yaml`)), readStreams(name), service);
  return startWorld(objects, {}, { customTypes: types });
}

describe('recorded streams over changing objects', () => {
  it.each([
    ['RT-27', 'outbound-route', 'web'],
    ['AZ-22', 'inbound', 'web'],
    ['AZ-01', 'server-opaque', 'web'],
    ['AZ-18', 'server-opaque-deleted', 'web'],
    ['RT-17', 'service-deleted', 'gone'],
  ])('[%s] %s', async (_feature, name, service) => {
    const world = await worldOf(name, service);
    expect(await replay(world, name)).toEqual([]);
    await world.controller.close();
  });

  it('[EG-01] [EG-04] an EgressNetwork comes, changes and goes', async () => {
    const world = await worldOf('egress', '');
    for (const name of ['egress', 'egress-2', 'egress-3']) expect(await replay(world, name)).toEqual([]);
    await world.controller.close();
  });
});
