// SPDX-License-Identifier: Apache-2.0
/*
 * Every recorded injection, replayed: the same pod in the same namespace with the same values must give the same operations in the same order,
 * and the object that the API server made of them. What differs on purpose is in DIFFERENCES.md; an unexpected equality fails as well.
 */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { injectPod, type Injection } from './inject-pod.ts';
import { injectService } from './inject-service.ts';
import { applyPatch } from './json-patch.ts';
import { readRecorded, recordedNames, recordedTrustAnchors, recordedValues, type RecordedInjection } from './testing/recorded-injection.ts';

/** Cases that differ on purpose, by their lines in DIFFERENCES.md. */
const DIFFERENCES: readonly string[] = ['bad-log-http-headers', 'close-wait-timeout', 'namespace-additional-env'];

/** Feature of a case, by the first words of its name that are listed here. */
const FEATURES: readonly (readonly [prefix: string, ids: string])[] = [
  ['additional-env', 'ANN-27'],
  ['already', 'INJ-04'],
  ['await-off', 'INJ-12'],
  ['bad-annotation', 'INJ-04'],
  ['bad-log', 'ANN-14'],
  ['close-wait', 'ANN-24'],
  ['debug', 'INJ-17'],
  ['default-inbound', 'ANN-18] [ANN-17'],
  ['default', 'INJ-08] [INJ-09] [INJ-10] [INJ-13] [INJ-14] [INJ-15] [INJ-16] [INJ-19] [INJ-24'],
  ['disabled', 'INJ-02'],
  ['gateway', 'ANN-23'],
  ['host-network', 'INJ-04] [INJ-22'],
  ['inbound-ports', 'ANN-07'],
  ['ingress', 'INJ-03'],
  ['namespace-additional', 'ANN-27'],
  ['namespace-annotations', 'INJ-06] [INJ-21'],
  ['namespace-enabled', 'INJ-02'],
  ['native-off-no-await', 'INJ-12] [ANN-31'],
  ['native-off-wait', 'ANN-28'],
  ['native', 'INJ-11] [ANN-31'],
  ['no-annotation', 'INJ-02'],
  ['no-token', 'INJ-04'],
  ['opaque', 'ANN-06] [INJ-07'],
  ['other-mesh', 'INJ-04'],
  ['owner', 'INJ-08'],
  ['ports-and-images', 'ANN-01] [ANN-02] [ANN-03] [ANN-12'],
  ['resources-ratio', 'ANN-08] [ANN-09'],
  ['resources', 'ANN-08] [ANN-10] [ANN-11'],
  ['security', 'INJ-15'],
  ['service', 'INJ-07'],
  ['skip-ports', 'ANN-04] [ANN-05'],
  ['timeouts', 'ANN-13] [ANN-14] [ANN-15] [ANN-16] [ANN-19] [ANN-20] [ANN-21] [ANN-22] [ANN-25] [ANN-26'],
  ['user-init', 'INJ-10'],
];

const values = recordedValues();
const trustAnchors = recordedTrustAnchors();

function inject({ object, namespace, owner, request }: RecordedInjection): Injection {
  if (request.kind.kind === 'Service') return injectService({ service: object, namespace, values });
  return injectPod({ pod: object, namespace, owner, values, trustAnchors, version: 'dev-undefined', controlPlaneNamespace: 'linkerd' });
}

/** Null members and absent ones mean the same to an API server. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([key, member]) => [key, withoutNulls(member)]),
  );
}

/** The token's volume got another name in each request. */
function withoutRunNames(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll(/kube-api-access-\w+/g, 'kube-api-access')) as unknown;
}

/** Paths at which `part` is not in `whole`: what the API server adds by default is not looked at. */
function missingIn(whole: unknown, part: unknown, path = ''): readonly string[] {
  if (Array.isArray(part)) {
    if (!Array.isArray(whole) || whole.length !== part.length) return [`${path}: another length`];
    return part.flatMap((item, index) => missingIn(whole[index], item, `${path}/${index}`));
  }
  if (typeof part === 'object' && part !== null) {
    // The API server leaves empty lists and maps out.
    if (Object.keys(part).length === 0) return [];
    if (typeof whole !== 'object' || whole === null) return [`${path}: not there`];
    return Object.entries(part).flatMap(([key, value]) => missingIn((whole as Record<string, unknown>)[key], value, `${path}/${key}`));
  }
  // Zero values are left out as well.
  if (whole === undefined && (part === 0 || part === false || part === '')) return [];
  return whole === part ? [] : [`${path}: ${JSON.stringify(whole)} instead of ${JSON.stringify(part)}`];
}

describe('recorded injections', () => {
  it('are all of them', () => {
    expect(recordedNames()).toHaveLength(51);
  });

  const idsOf = (name: string): string => FEATURES.find(([prefix]) => name.startsWith(prefix))?.[1] ?? '';
  const same = recordedNames().filter((name) => !DIFFERENCES.includes(name));

  for (const name of same) {
    it(`[${idsOf(name)}] ${name} is the same`, () => {
      const recorded = readRecorded(name);
      const { patch } = inject(recorded);
      const { response, object, injected } = recorded;
      expect(response.allowed).toBe(true);
      expect(withoutNulls(patch)).toEqual(withoutNulls(response.patch));
      expect(missingIn(withoutRunNames(injected), withoutRunNames(applyPatch(object, patch)))).toEqual([]);
    });
  }

  for (const name of DIFFERENCES) {
    it(`[${idsOf(name)}] ${name} is meshed all the same`, () => {
      const recorded = readRecorded(name);
      const { patch, report } = inject(recorded);
      const { response, object } = recorded;
      expect(response.allowed && isDeepStrictEqual(withoutNulls(response.patch), withoutNulls(patch)), 'equal, although listed').toBe(
        false,
      );
      expect(report.isInjected).toBe(true);
      expect(() => applyPatch(object, patch)).not.toThrow();
    });
  }
});

describe('DIFFERENCES.md', () => {
  it('lists exactly the cases that differ', () => {
    const text = readFileSync(new URL('../DIFFERENCES.md', import.meta.url), 'utf8');
    const section = text.slice(text.indexOf('## Recorded cases'), text.indexOf('## Other behaviour'));
    const listed = [...section.matchAll(/^\| `([a-z-]+)`/gm)].map(([, name]) => name);
    expect(new Set(listed)).toEqual(new Set(DIFFERENCES));
  });
});
