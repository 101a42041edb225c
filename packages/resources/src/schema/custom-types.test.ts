// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

import { createMemorySource, isResourceError, parseApiVersion } from '../index.ts';
import type { LocalSource, Resource, ResourceInput } from '../index.ts';
import { customKinds } from '../kinds/registry.ts';
import { customTypes } from './custom-types.ts';
import { readCustomTypes } from './custom-type-files.ts';

const chart = fileURLToPath(new URL('../../../../charts/weft-crds/files/', import.meta.url));
const vectors = new URL('../testdata/vectors/', import.meta.url);
const { types, unsupportedRules } = await readCustomTypes(chart);

const newSource = (): LocalSource => createMemorySource({ customTypes: types });
const gvkOf = ({ apiVersion, kind }: ResourceInput): { group: string; version: string; kind: string } => ({
  ...parseApiVersion(apiVersion),
  kind,
});
const create = (source: LocalSource, input: ResourceInput): Resource => source.store.create(gvkOf(input), input);

describe('the definitions of the chart', () => {
  it('[CH-01] define every registered custom kind, with the version that Weft reads', () => {
    for (const kind of customKinds) {
      const type = types.find(({ group, kind: name }) => group === kind.group && name === kind.kind);
      expect(type).toBeDefined();
      expect(type?.plural).toBe(kind.plural);
      expect(type?.versions.has(kind.version)).toBe(true);
    }
  });

  it('hold no CEL rule that goes unchecked', () => {
    expect(unsupportedRules).toEqual([]);
  });

  it.each([
    ['Server', ['v1alpha1', 'v1beta1', 'v1beta2', 'v1beta3'], 'v1beta3', false],
    ['ServerAuthorization', ['v1alpha1', 'v1beta1'], 'v1beta1', false],
    ['AuthorizationPolicy', ['v1alpha1'], 'v1alpha1', false],
    ['MeshTLSAuthentication', ['v1alpha1'], 'v1alpha1', false],
    ['NetworkAuthentication', ['v1alpha1'], 'v1alpha1', false],
    ['EgressNetwork', ['v1alpha1'], 'v1alpha1', true],
    ['HTTPLocalRateLimitPolicy', ['v1alpha1'], 'v1alpha1', true],
    ['ServiceProfile', ['v1alpha1', 'v1alpha2'], 'v1alpha2', false],
    ['ExternalWorkload', ['v1alpha1', 'v1beta1'], 'v1beta1', true],
    ['GRPCRoute', ['v1', 'v1alpha2'], 'v1', true],
    ['TLSRoute', ['v1alpha2'], 'v1alpha2', true],
    ['TCPRoute', ['v1alpha2'], 'v1alpha2', true],
  ])('[CH-01] %s serves the versions of the reference', (kind, versions, storage, hasStatus) => {
    const type = types.find((candidate) => candidate.kind === kind);
    expect([...(type?.versions.keys() ?? [])].sort()).toEqual(versions);
    expect(type?.storageVersion).toBe(storage);
    expect(type?.versions.get(storage)?.hasStatus).toBe(hasStatus);
  });
});

describe('objects of a real cluster', () => {
  const stored = new Map<string, ResourceInput>();
  for (const scenario of ['dst', 'in', 'out', 'net']) {
    const { items } = JSON.parse(readFileSync(new URL(`control-objects/${scenario}.json`, vectors), 'utf8')) as { items: ResourceInput[] };
    for (const item of items) stored.set(`${item.kind}.${item.apiVersion} ${item.metadata.namespace ?? ''}/${item.metadata.name}`, item);
  }
  const custom = [...stored].filter(([, item]) =>
    types.some((type) => type.kind === item.kind && item.apiVersion.startsWith(`${type.group}/`)),
  );

  it.each(custom)('stay as they are: %s', (_name, item) => {
    const store = newSource().store;
    const { spec, status } = store.seed(item);
    expect({ spec, status }).toEqual({ spec: item['spec'], status: item['status'] });
  });

  const written = ['dst', 'in', 'out'].flatMap((scenario) =>
    parseAllDocuments(readFileSync(new URL(`manifests/${scenario}.yaml`, vectors), 'utf8'))
      .map((document) => document.toJS() as ResourceInput | null)
      .filter((item) => item !== null)
      .map((item): [string, ResourceInput] => [
        `${item.kind}.${item.apiVersion} ${item.metadata.namespace ?? ''}/${item.metadata.name}`,
        item,
      ])
      .filter(([name]) => stored.has(name) && custom.some(([other]) => other === name)),
  );

  it.each(written)('come out of what was written: %s', (name, item) => {
    expect(create(newSource(), item).spec).toEqual(stored.get(name)?.['spec']);
  });
});

describe('verdicts of a real API server', () => {
  interface Verdict {
    readonly allowed: boolean;
    readonly refused_by?: string;
    readonly message?: string;
  }

  /** As kubectl prints it. */
  function refusal(source: LocalSource, manifest: ResourceInput): string | undefined {
    try {
      create(source, manifest);
      return undefined;
    } catch (error) {
      if (!isResourceError(error, 'ERR_INVALID')) throw error;
      const lines = error.causes.map(({ path, message }) => `${path}: ${message}`);
      return `The ${manifest.kind} "${manifest.metadata.name}" is invalid: ${lines.length === 1 ? '' : '\n* '}${lines.join('\n* ')}`;
    }
  }

  it.each(readdirSync(new URL('admission/', vectors)))('%s', (name) => {
    const manifest = parse(readFileSync(new URL(`admission/${name}/manifest.yaml`, vectors), 'utf8')) as ResourceInput;
    const verdict = JSON.parse(readFileSync(new URL(`admission/${name}/response.json`, vectors), 'utf8')) as Verdict;
    expect(refusal(newSource(), manifest)).toBe(verdict.refused_by === 'api server' ? verdict.message : undefined);
  });
});

describe('versions of a kind', () => {
  it('are views of one object, pruned and defaulted by their own schema', () => {
    const { store } = newSource();
    const old = { group: 'policy.linkerd.io', version: 'v1beta1', kind: 'Server' };
    const latest = { ...old, version: 'v1beta3' };
    const created = store.create(old, {
      apiVersion: 'policy.linkerd.io/v1beta1',
      kind: 'Server',
      metadata: { name: 's', namespace: 'a' },
      spec: { podSelector: {}, port: 80, accessPolicy: 'audit' },
    });
    expect(created).toMatchObject({
      apiVersion: 'policy.linkerd.io/v1beta1',
      spec: { podSelector: {}, port: 80, proxyProtocol: 'unknown' },
    });
    expect(created.spec).not.toHaveProperty('accessPolicy');
    expect(store.get(latest, 'a', 's')).toMatchObject({ apiVersion: 'policy.linkerd.io/v1beta3', spec: { accessPolicy: 'deny' } });
    store.patch(latest, 'a', 's', { spec: { accessPolicy: 'audit' } });
    expect(store.get(old, 'a', 's').spec).not.toHaveProperty('accessPolicy');
    expect(store.list(old)[0]?.apiVersion).toBe('policy.linkerd.io/v1beta1');
  });
});

describe('structural schemas', () => {
  const define = (spec: unknown): LocalSource =>
    createMemorySource({
      customTypes: customTypes([
        {
          spec: {
            group: 'example.com',
            names: { kind: 'Thing', plural: 'things' },
            scope: 'Namespaced',
            versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec } } } }],
          },
        },
      ]).types,
    });
  const thing = (spec: unknown): ResourceInput => ({
    apiVersion: 'example.com/v1',
    kind: 'Thing',
    metadata: { name: 't', namespace: 'a' },
    spec,
  });

  it.each<[string, unknown, unknown, unknown]>([
    [
      'prunes unknown fields in depth',
      { type: 'object', properties: { a: { type: 'object', properties: { b: { type: 'string' } } } } },
      { a: { b: 'x', c: 1 }, d: 2 },
      { a: { b: 'x' } },
    ],
    [
      'keeps unknown fields where told to, but prunes below named ones',
      { type: 'object', 'x-kubernetes-preserve-unknown-fields': true, properties: { a: { type: 'object' } } },
      { a: { b: 1 }, d: { e: 2 } },
      { a: {}, d: { e: 2 } },
    ],
    [
      'defaults in depth, in items and in map values',
      {
        type: 'object',
        properties: {
          l: { type: 'array', items: { type: 'object', properties: { w: { type: 'integer', default: 1 } } } },
          m: { type: 'object', additionalProperties: { type: 'object', properties: { w: { type: 'integer', default: 2 } } } },
        },
      },
      { l: [{}, { w: 7 }], m: { k: {} } },
      { l: [{ w: 1 }, { w: 7 }], m: { k: { w: 2 } } },
    ],
    [
      'defaults an object and then its fields',
      { type: 'object', properties: { p: { type: 'object', default: {}, properties: { t: { type: 'string', default: 'x' } } } } },
      {},
      { p: { t: 'x' } },
    ],
    [
      'does not default below what is absent',
      { type: 'object', properties: { p: { type: 'object', properties: { t: { type: 'string', default: 'x' } } } } },
      {},
      {},
    ],
    [
      'drops a null that is not allowed and defaults in its place',
      { type: 'object', properties: { a: { type: 'string', default: 'x' }, b: { type: 'string' } } },
      { a: null, b: null },
      { a: 'x' },
    ],
    [
      'keeps a null that is allowed',
      { type: 'object', properties: { a: { type: 'string', nullable: true, default: 'x' } } },
      { a: null },
      { a: null },
    ],
  ])('%s', (_name, schema, spec, expected) => {
    expect(create(define(schema), thing(spec)).spec).toEqual(expected);
  });

  it.each<[string, unknown, unknown, string]>([
    [
      'type',
      { type: 'object', properties: { a: { type: 'integer' } } },
      { a: 'x' },
      'spec.a: Invalid value: "string": spec.a in body must be of type integer: "string"',
    ],
    [
      'int or string',
      { type: 'object', properties: { a: { 'x-kubernetes-int-or-string': true } } },
      { a: 1.5 },
      'spec.a: Invalid value: "number": spec.a in body must be of type integer,string: "number"',
    ],
    [
      'enum',
      { type: 'object', properties: { a: { type: 'string', enum: ['x', 'y'] } } },
      { a: 'z' },
      'spec.a: Unsupported value: "z": supported values: "x", "y"',
    ],
    [
      'pattern',
      { type: 'object', properties: { a: { type: 'string', pattern: '^a+$' } } },
      { a: 'b' },
      `spec.a: Invalid value: "b": spec.a in body should match '^a+$'`,
    ],
    [
      'maximum length',
      { type: 'object', properties: { a: { type: 'string', maxLength: 2 } } },
      { a: 'abc' },
      'spec.a: Too long: may not be more than 2 bytes',
    ],
    [
      'maximum',
      { type: 'object', properties: { a: { type: 'integer', maximum: 5 } } },
      { a: 6 },
      'spec.a: Invalid value: 6: spec.a in body should be less than or equal to 5',
    ],
    [
      'maximum items',
      { type: 'object', properties: { a: { type: 'array', maxItems: 1, items: { type: 'integer' } } } },
      { a: [1, 2] },
      'spec.a: Too many: 2: must have at most 1 items',
    ],
    [
      'minimum items',
      { type: 'object', properties: { a: { type: 'array', minItems: 1, items: { type: 'integer' } } } },
      { a: [] },
      'spec.a: Invalid value: 0: spec.a in body should have at least 1 items',
    ],
    [
      'keyed list',
      {
        type: 'object',
        properties: {
          a: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['n'],
            items: { type: 'object', properties: { n: { type: 'string' } } },
          },
        },
      },
      { a: [{ n: 'x' }, { n: 'x' }] },
      'spec.a[1]: Duplicate value: {"n":"x"}',
    ],
    [
      'format',
      { type: 'object', properties: { a: { type: 'string', format: 'date-time' } } },
      { a: 'now' },
      'spec.a: Invalid value: "now": spec.a in body must be of type date-time: "now"',
    ],
    [
      'required in items',
      {
        type: 'object',
        properties: { a: { type: 'array', items: { type: 'object', required: ['n'], properties: { n: { type: 'string' } } } } },
      },
      { a: [{}] },
      'spec.a[0].n: Required value',
    ],
  ])('refuse a wrong %s as an API server does', (_name, schema, spec, message) => {
    expect(() => create(define(schema), thing(spec))).toThrow(`Thing.example.com "t" is invalid: ${message}`);
  });

  it('name the rules that they do not check', () => {
    const { unsupportedRules } = customTypes([
      {
        spec: {
          group: 'example.com',
          names: { kind: 'Thing', plural: 'things' },
          versions: [
            {
              name: 'v1',
              served: true,
              storage: true,
              schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-validations': [{ rule: 'self.a > 1' }] } },
            },
          ],
        },
      },
    ]);
    expect(unsupportedRules).toEqual(['things.example.com/v1: self.a > 1']);
  });
});
