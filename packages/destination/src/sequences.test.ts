// SPDX-License-Identifier: Apache-2.0
/* Captured streams that stayed open while objects changed, replayed step by step; what comes after which step must be the same. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import { create } from '@bufbuild/protobuf';
import { destination } from '@weft/proto';
import { toVectorJson, vectorDifference, type VectorJson } from '@weft/proto/testing';
import { afterEach, describe, expect, it } from 'vitest';

import { createDestinationService, type DestinationService } from './index.ts';
import { MiniCluster, type Step } from './testdata/mini-cluster.ts';
import { RecordingStream } from './testdata/recording-stream.ts';

const SEQUENCES = join(import.meta.dirname, 'testdata/vectors/sequences');
const METHODS = 'io.linkerd.proxy.destination.Destination/';

interface CapturedStream {
  readonly method: string;
  readonly message: { readonly path: string; readonly context_token?: string };
  readonly responses: readonly { readonly after_step: number; readonly message: VectorJson }[];
}

interface Sequence {
  readonly name: string;
  readonly features: string;
  readonly podIps: Readonly<Record<string, string>>;
  readonly clusterIps: Readonly<Record<string, string>>;
}

const SEQUENCE_TABLE: readonly Sequence[] = [
  { name: 'endpoints', features: '[LB-03] [LB-05]', podIps: { a: '10.244.0.55', plain: '10.244.0.56' }, clusterIps: {} },
  {
    name: 'profile',
    features: '[LB-04] [PROTO-03]',
    podIps: { a: '10.244.0.55', plain: '10.244.0.56' },
    clusterIps: { web: '10.96.20.232' },
  },
  { name: 'server-opaque', features: '[LB-03] [PROTO-03]', podIps: { a: '10.244.0.55', plain: '10.244.0.56' }, clusterIps: {} },
  { name: 'server-opaque-deleted', features: '[LB-03] [PROTO-03]', podIps: { a: '10.244.0.58', plain: '10.244.0.57' }, clusterIps: {} },
  { name: 'service-deleted', features: '[LB-03] [LB-05]', podIps: { a: '10.244.0.55', plain: '10.244.0.57' }, clusterIps: {} },
];

/**
 * Messages that Weft sends and the reference did not (DIFFERENCES.md): after this step of this sequence, the stream of this path goes back to
 * its first message.
 */
const TURNS_BACK: readonly { readonly sequence: string; readonly path: string; readonly step: number }[] = [
  { sequence: 'server-opaque', path: '10.244.0.55:8080', step: 2 },
  { sequence: 'server-opaque-deleted', path: '10.244.0.57:8080', step: 2 },
  { sequence: 'server-opaque-deleted', path: '10.244.0.58:8080', step: 2 },
];

const services: DestinationService[] = [];

afterEach(() => {
  for (const service of services.splice(0)) service.close();
});

function read(sequence: string, file: string): unknown {
  return JSON.parse(readFileSync(join(SEQUENCES, sequence, file), 'utf8'));
}

/** Lets every watch deliver. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Opens a captured stream; the function gives what came since it was last called. */
async function open(service: DestinationService, { method, message }: CapturedStream): Promise<() => VectorJson[]> {
  const request = create(destination.GetDestinationSchema, { path: message.path, contextToken: message.context_token ?? '' });
  if (method.endsWith('/Get')) {
    const stream = new RecordingStream(destination.UpdateSchema);
    await service.handlers.get(request, stream);
    return () => stream.messages.splice(0).map((update) => toVectorJson(destination.UpdateSchema, update));
  }
  const stream = new RecordingStream(destination.DestinationProfileSchema);
  await service.handlers.getProfile(request, stream);
  return () => stream.messages.splice(0).map((profile) => toVectorJson(destination.DestinationProfileSchema, profile));
}

function expectedAfter(sequence: string, stream: CapturedStream, step: number): VectorJson[] {
  const captured = stream.responses.filter((response) => response.after_step === step).map((response) => response.message);
  const turn = TURNS_BACK.find((candidate) => candidate.sequence === sequence && candidate.path === stream.message.path);
  if (turn?.step !== step) return captured;
  // The capture has nothing here; a vector that turns back should leave this table.
  expect(captured).toEqual([]);
  const first = stream.responses[0]?.message;
  return first === undefined ? [] : [first];
}

describe('captured sequences', () => {
  it.each(SEQUENCE_TABLE)('$features $name', async ({ name, podIps, clusterIps }) => {
    const cluster = new MiniCluster(podIps, clusterIps);
    await cluster.apply(readFileSync(join(SEQUENCES, name, 'manifests.yaml'), 'utf8'));
    const service = createDestinationService({ source: cluster.source });
    services.push(service);
    await service.ready;
    const captured = (read(name, 'streams.json') as CapturedStream[]).filter(({ method }) => method.startsWith(METHODS));
    const streams = await Promise.all(captured.map((stream) => open(service, stream)));
    const steps: (Step | undefined)[] = [undefined, ...(read(name, 'steps.json') as { readonly steps: Step[] }).steps];
    for (const [index, step] of steps.entries()) {
      if (step !== undefined) await cluster.take(step);
      await settled();
      for (const [number, stream] of captured.entries()) {
        const actual = streams[number]?.() ?? [];
        const where = `${stream.method} ${stream.message.path} after step ${index}`;
        const difference = vectorDifference(actual, expectedAfter(name, stream, index));
        expect({ where, difference }).toEqual({ where, difference: undefined });
      }
    }
  });
});
