// SPDX-License-Identifier: Apache-2.0
/*
 * Every captured call of the destination API, replayed against the objects of its scenario. A vector that Weft answers otherwise is listed in
 * DIFFERENCES and asserted there: an unexpected agreement fails as an unexpected difference does.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { create } from '@bufbuild/protobuf';
import { GrpcStatusError } from '@weft/grpc-server';
import { destination } from '@weft/proto';
import { toVectorJson, vectorDifference, type VectorJson } from '@weft/proto/testing';
import { createMemorySource, type ResourceInput } from '@weft/resources';
import { describe, expect, it } from 'vitest';

import { createDestinationService } from './index.ts';
import { RecordingStream } from './testdata/recording-stream.ts';

const VECTORS = join(import.meta.dirname, 'testdata/vectors');

interface VectorRequest {
  readonly method: string;
  readonly message: { readonly path?: string; readonly context_token?: string; readonly scheme?: string };
}

interface VectorResponse {
  readonly messages: readonly VectorJson[];
  readonly status: { readonly code: number; readonly details: string } | null;
}

/** What Weft answers where it differs from the capture; DIFFERENCES.md says why. */
const DIFFERENCES: Readonly<Record<string, VectorResponse>> = {
  'dst.get-bad-empty': { messages: [], status: { code: 3, details: 'Invalid authority: ' } },
};

/** Feature IDs of features.md that a vector proves, by the longest prefix of its name. */
const FEATURES: readonly (readonly [prefix: string, features: string])[] = [
  ['dst.get-', '[LB-03]'],
  ['dst.get-bad-external-name', '[LB-03] [LB-08]'],
  ['dst.get-instance', '[LB-03] [LB-07]'],
  ['dst.get-manual-slice-hostname', '[LB-03] [LB-07]'],
  ['dst.get-local-policy', '[LB-03] [LB-10]'],
  ['dst.get-daemonset', '[LB-03] [LB-10]'],
  ['dst.get-token', '[LB-03] [LB-24]'],
  ['dst.get-opaque', '[LB-03] [PROTO-03]'],
  ['dst.get-default-opaque', '[LB-03] [PROTO-03]'],
  ['dst.profile-', '[LB-04]'],
  ['dst.profile-pod-', '[LB-04] [LB-06]'],
  ['dst.profile-host-', '[LB-04] [LB-06]'],
  ['dst.profile-unknown-ip', '[LB-04] [LB-06]'],
  ['dst.profile-pod-dns', '[LB-04] [LB-07]'],
  ['dst.profile-bad-external-name', '[LB-04] [LB-08]'],
  ['dst.profile-annotated', '[LB-04] [PROTO-03]'],
  ['dst.profile-name-token', '[LB-04] [LB-23] [LB-24]'],
];

function featuresOf(name: string): string {
  const matching = FEATURES.filter(([prefix]) => name.startsWith(prefix));
  return matching.sort(([a], [b]) => b.length - a.length)[0]?.[1] ?? '';
}

function read(path: string): unknown {
  return JSON.parse(readFileSync(join(VECTORS, path), 'utf8'));
}

const objects = (read('control-objects/dst.json') as { readonly items: readonly ResourceInput[] }).items;
const names = readdirSync(join(VECTORS, 'control')).sort();

async function replay(request: VectorRequest): Promise<VectorResponse> {
  const source = createMemorySource({ objects });
  const service = createDestinationService({ source });
  await service.ready;
  const { path = '', context_token: contextToken = '', scheme = '' } = request.message;
  const message = create(destination.GetDestinationSchema, { path, contextToken, scheme });
  const isGet = request.method.endsWith('/Get');
  const updates = new RecordingStream(destination.UpdateSchema);
  const profiles = new RecordingStream(destination.DestinationProfileSchema);
  let status: VectorResponse['status'] = null;
  try {
    await (isGet ? service.handlers.get(message, updates) : service.handlers.getProfile(message, profiles));
  } catch (error) {
    if (!(error instanceof GrpcStatusError)) throw error;
    status = { code: error.code, details: error.details };
  }
  updates.cancel();
  profiles.cancel();
  service.close();
  await source.close();
  return {
    messages: isGet
      ? updates.messages.map((update) => toVectorJson(destination.UpdateSchema, update))
      : profiles.messages.map((profile) => toVectorJson(destination.DestinationProfileSchema, profile)),
    status,
  };
}

/** Where an answer parts from the one expected; undefined when they mean the same. */
function difference(actual: VectorResponse, expected: VectorResponse): string | undefined {
  const plain = ({ messages, status }: VectorResponse): VectorJson => ({
    messages: [...messages],
    status: status === null ? 'open' : { code: status.code, details: status.details },
  });
  return vectorDifference(plain(actual), plain(expected));
}

describe('captured calls of the destination API', () => {
  it('are all here', () => {
    expect(names.length).toBe(100);
    for (const name of Object.keys(DIFFERENCES)) expect(names).toContain(name);
  });

  it.each(names.map((name) => [featuresOf(name), name] as const))('%s %s', async (_, name) => {
    const actual = await replay(read(`control/${name}/request.json`) as VectorRequest);
    const captured = read(`control/${name}/response.json`) as VectorResponse;
    const ours = DIFFERENCES[name];
    expect(difference(actual, ours ?? captured)).toBeUndefined();
    expect(difference(actual, captured) === undefined).toBe(ours === undefined);
  });
});
