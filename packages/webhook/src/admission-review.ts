// SPDX-License-Identifier: Apache-2.0
/*
 * AdmissionReview texts, v1 and v1beta1 (Kubernetes admission.k8s.io; the two differ in name only): decoding what an API server sent, and
 * the answer, which is the same review with `response` filled in (control-contract §4.1). Undecodable texts are values, not throws.
 */
import { Buffer } from 'node:buffer';
import type { AdmissionAnswer, AdmissionRequest } from './types.ts';

/** A decoded review. */
export interface DecodedReview {
  readonly request: AdmissionRequest;
  /** The review as it came, for the answer. */
  readonly review: Readonly<Record<string, unknown>>;
}

type JsonRecord = Readonly<Record<string, unknown>>;

const REVIEW_VERSIONS: ReadonlySet<string> = new Set(['admission.k8s.io/v1', 'admission.k8s.io/v1beta1']);

/** Decodes a review, or says what is wrong with it. */
export function decodeReview(text: string): DecodedReview | { readonly error: string } {
  let review: unknown;
  try {
    review = JSON.parse(text);
  } catch {
    return { error: 'the body is not JSON' };
  }
  if (!isRecord(review)) return { error: 'the body is not an object' };
  if (review['kind'] !== 'AdmissionReview' || !REVIEW_VERSIONS.has(stringOf(review['apiVersion']))) {
    return { error: 'the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1' };
  }
  const request = review['request'];
  if (!isRecord(request)) return { error: 'the review has no request' };
  const uid = stringOf(request['uid']);
  if (uid === '') return { error: 'the request has no uid' };
  const [kind, resource, userInfo] = [record(request['kind']), record(request['resource']), record(request['userInfo'])];
  const [subResource, name, namespace] = [stringOf(request['subResource']), stringOf(request['name']), stringOf(request['namespace'])];
  const groups = userInfo['groups'];
  return {
    review,
    request: {
      uid,
      kind: { group: stringOf(kind['group']), version: stringOf(kind['version']), kind: stringOf(kind['kind']) },
      resource: { group: stringOf(resource['group']), version: stringOf(resource['version']), resource: stringOf(resource['resource']) },
      ...(subResource === '' ? {} : { subResource }),
      ...(name === '' ? {} : { name }),
      ...(namespace === '' ? {} : { namespace }),
      operation: stringOf(request['operation']),
      object: request['object'] ?? null,
      oldObject: request['oldObject'] ?? null,
      dryRun: request['dryRun'] === true,
      userInfo: {
        username: stringOf(userInfo['username']),
        groups: Array.isArray(groups) ? groups.filter((group): group is string => typeof group === 'string') : [],
      },
    },
  };
}

/** The review with its answer, as text. `echoesRequest`: whether the question is part of it, as the reference's injector has it. */
export function encodeAnswer({ review, request }: DecodedReview, answer: AdmissionAnswer, echoesRequest: boolean): string {
  const { allowed, message, code, warnings, patch } = answer;
  const hasPatch = patch !== undefined && patch.length > 0;
  const status =
    message === undefined && code === undefined ? undefined : { ...(code === undefined ? {} : { code }), message: message ?? '' };
  const response = {
    uid: request.uid,
    allowed,
    ...(status === undefined || allowed ? {} : { status }),
    ...(hasPatch ? { patch: Buffer.from(JSON.stringify(patch)).toString('base64'), patchType: 'JSONPatch' } : {}),
    ...(warnings === undefined || warnings.length === 0 ? {} : { warnings }),
  };
  const { apiVersion, kind } = review;
  return JSON.stringify({ apiVersion, kind, ...(echoesRequest ? { request: review['request'] } : {}), response });
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function record(value: unknown): JsonRecord {
  return isRecord(value) ? value : {};
}

function stringOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
