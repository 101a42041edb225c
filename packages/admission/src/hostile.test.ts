// SPDX-License-Identifier: Apache-2.0
/*
 * Objects that no schema has seen: every review answers, in bounded work and with a bounded message, whatever it is given. That work is
 * bounded is shown by the limit that is named in the answer, not by a clock.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { Gvk } from '@weft/resources';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { REVIEW_LIMITS } from './findings.ts';
import { reviewPolicy, reviewServiceProfile } from './review.ts';
import type { ReviewAnswer } from './types.ts';

const POLICY = 'policy.linkerd.io';
const GATEWAY = 'gateway.networking.k8s.io';
const KINDS: readonly (readonly [string, string])[] = [
  [POLICY, 'AuthorizationPolicy'],
  [POLICY, 'EgressNetwork'],
  [POLICY, 'HTTPLocalRateLimitPolicy'],
  [POLICY, 'HTTPRoute'],
  [POLICY, 'MeshTLSAuthentication'],
  [POLICY, 'NetworkAuthentication'],
  [POLICY, 'Server'],
  [POLICY, 'ServerAuthorization'],
  [GATEWAY, 'HTTPRoute'],
  [GATEWAY, 'GRPCRoute'],
  [GATEWAY, 'TLSRoute'],
  [GATEWAY, 'TCPRoute'],
  ['linkerd.io', 'ServiceProfile'],
];

const vectors = new URL('testdata/vectors/admission/', import.meta.url);
const samples = readdirSync(vectors).map((name): unknown => parse(readFileSync(new URL(`${name}/manifest.yaml`, vectors), 'utf8')));

function review(group: string, kind: string, object: unknown): ReviewAnswer {
  const gvk: Gvk = { group, version: 'v1', kind };
  const request = { kind: gvk, operation: 'CREATE', namespace: 'ns', object };
  return group === 'linkerd.io' ? reviewServiceProfile(request) : reviewPolicy(request);
}

const MAX_TEXT = REVIEW_LIMITS.maxFindings * (REVIEW_LIMITS.maxReasonCharacters + 1000);

/** Whether an answer is one that can be shown: bounded, in single lines, and with a reason where it refuses. */
function isPresentable({ allowed, message = '', warnings = [] }: ReviewAnswer): boolean {
  const texts = [message, ...warnings];
  // oxlint-disable-next-line no-control-regex -- exactly these must not be there
  if (texts.some((text) => text.length > MAX_TEXT || /[\u0000-\u001f\u007f]/.test(text))) return false;
  return warnings.length <= REVIEW_LIMITS.maxFindings && allowed === (message === '');
}

/** `object` with one value in it replaced: `steps` chooses the way down. */
function replaced(object: unknown, steps: readonly number[], value: unknown): unknown {
  const keys = typeof object === 'object' && object !== null ? Object.keys(object) : [];
  const [step, ...rest] = steps;
  if (step === undefined || keys.length === 0) return value;
  const key = keys[step % keys.length] ?? '';
  const inner = replaced((object as Record<string, unknown>)[key], rest, value);
  if (Array.isArray(object)) return (object as unknown[]).map((item, index) => (String(index) === key ? inner : item));
  return { ...(object as object), [key]: inner };
}

describe('[AZ-16] objects of any shape', () => {
  it.each(KINDS)('%s %s: any JSON is answered', (group, kind) => {
    const anything = fc.oneof(fc.jsonValue(), fc.record({ metadata: fc.jsonValue(), spec: fc.jsonValue() }));
    const holds = fc.property(anything, (object) => isPresentable(review(group, kind, object)));
    expect(() => fc.assert(holds, { numRuns: 200 })).not.toThrow();
  });

  it('captured objects with anything anywhere in them are answered', () => {
    const holds = fc.property(
      fc.constantFrom(...samples),
      fc.array(fc.nat(20), { maxLength: 9 }),
      fc.jsonValue(),
      (sample, steps, value) => {
        const object = replaced(sample, steps, value);
        return KINDS.every(([group, kind]) => isPresentable(review(group, kind, object)));
      },
    );
    expect(() => fc.assert(holds, { numRuns: 1000 })).not.toThrow();
  });
});

describe('[AZ-16] huge and deep objects', () => {
  it('a list without end is refused as too large', () => {
    const networks = Array.from({ length: REVIEW_LIMITS.maxValues }, () => ({ cidr: '10.0.0.0/8' }));
    const answer = review(POLICY, 'NetworkAuthentication', { spec: { networks } });
    expect(answer.allowed).toBe(false);
    expect(answer.message).toMatch(/too large to review/);
    expect(isPresentable(answer)).toBe(true);
  });

  it('as many faults as there are items are named up to a limit, then counted', () => {
    const networks = Array.from({ length: 1000 }, () => ({ cidr: 'x' }));
    const { message = '' } = review(POLICY, 'NetworkAuthentication', { spec: { networks } });
    expect(message.match(/is no network/g)).toHaveLength(REVIEW_LIMITS.maxFindings);
    expect(message).toMatch(/and 992 more$/);
  });

  it('conditions nested without end are refused', () => {
    let condition: unknown = { method: 'GET' };
    for (let depth = 0; depth < 5000; depth += 1) condition = { not: condition };
    const answer = review('linkerd.io', 'ServiceProfile', { metadata: { name: 'a' }, spec: { routes: [{ name: 'r', condition }] } });
    expect(answer.message).toMatch(/nested 32 deep/);
    expect(isPresentable(answer)).toBe(true);
  });

  it('patterns that are dear to compile are refused uncompiled', () => {
    const matches = Array.from({ length: 128 }, () => ({ path: { type: 'RegularExpression', value: 'a{1000}' } }));
    const parentRefs = [{ kind: 'Service', name: 's', port: 80 }];
    const answer = review(POLICY, 'HTTPRoute', { spec: { parentRefs, rules: [{ matches }] } });
    expect(answer.message).toMatch(/patterns of one object are too large together/);
  });

  it('a text of megabytes is not repeated, nor its line breaks', () => {
    const text = `x\n${'y'.repeat(4_000_000)}`;
    for (const answer of [
      review(POLICY, 'MeshTLSAuthentication', { spec: { identities: [text] } }),
      review(POLICY, 'Server', { spec: { podSelector: {}, port: 1, proxyProtocol: text, accessPolicy: text } }),
      review(POLICY, 'HTTPRoute', {
        metadata: { annotations: { 'retry.linkerd.io/http': text, 'timeout.linkerd.io/idle': text } },
        spec: { parentRefs: [{ kind: 'Service', name: 's' }] },
      }),
    ]) {
      expect(answer.allowed).toBe(false);
      expect(isPresentable(answer)).toBe(true);
    }
  });

  it('names that objects inherit are no fields', () => {
    expect(review(POLICY, 'constructor', {}).message).toMatch(/unsupported kind/);
    expect(review(POLICY, 'Server', JSON.parse('{"spec":{"__proto__":{"podSelector":{}},"port":80}}')).allowed).toBe(false);
  });
});
