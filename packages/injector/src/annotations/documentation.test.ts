// SPDX-License-Identifier: Apache-2.0
/* docs/reference/injection.md says what the code does: every annotation, its chart default, whether namespaces give it, and the example. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { injectPod } from '../inject-pod.ts';
import { injectService } from '../inject-service.ts';
import { applyPatch } from '../json-patch.ts';
import { readInjectorValues } from '../values.ts';
import { CONFIG_PREFIX, INHERITED_CONFIG_ANNOTATIONS, POD_CONFIG_ANNOTATIONS } from './names.ts';

const text = readFileSync(new URL('../../../../docs/reference/injection.md', import.meta.url), 'utf8');
const section = text.slice(text.indexOf('## Annotations'), text.indexOf('## Opaque ports'));
const rows = [...section.matchAll(/^\| `([^`]+)` +\| (.*?) +\| (pod(?:, namespace)?) +\|$/gm)].map(
  ([, name = '', value = '', from = '']) => ({
    key: name.includes('/') ? name : `${CONFIG_PREFIX}${name}`,
    value,
    from,
  }),
);

describe('the page on injection', () => {
  it('lists every annotation once, with where it is read from', () => {
    const documented = (from: string): string[] => rows.filter((row) => row.from === from).map(({ key }) => key);
    expect(new Set(documented('pod, namespace'))).toEqual(new Set(INHERITED_CONFIG_ANNOTATIONS));
    expect(new Set(documented('pod'))).toEqual(new Set(POD_CONFIG_ANNOTATIONS));
    expect(rows).toHaveLength(new Set(rows.map(({ key }) => key)).size);
  });

  it('gives defaults that an annotation with that value does not change', () => {
    const values = readInjectorValues({ linkerdVersion: '1.0.0' });
    const patchWith = (annotations: Record<string, string>) =>
      injectPod({
        pod: {
          metadata: { annotations: { 'linkerd.io/inject': 'enabled', ...annotations } },
          spec: { containers: [{ name: 'a', image: 'a' }] },
        },
        namespace: { name: 'shop', annotations: {} },
        values,
        trustAnchors: 'anchors',
        version: '1.0.0',
        controlPlaneNamespace: 'linkerd',
      });
    const plain = patchWith({});
    const withDefault = rows.flatMap(({ key, value }) => {
      const written = /; `([^`]+)`/.exec(value)?.[1];
      return written === undefined ? [] : [[key, written] as const];
    });
    expect(withDefault.length).toBeGreaterThan(25);
    for (const [key, value] of withDefault) {
      const { patch, report } = patchWith({ [key]: value });
      expect({ key, problems: report.problems, patch }).toEqual({ key, problems: [], patch: plain.patch });
    }
  });

  it('shows an example that holds', () => {
    const yaml = /```yaml\n([\s\S]*?)```/.exec(text)?.[1] ?? '';
    const service = parse(yaml) as Record<string, unknown>;
    const { patch } = injectService({ service, namespace: { name: 'shop', annotations: {} }, values: readInjectorValues({}) });
    const expected = /# becomes: (\S+): "(.*)"/.exec(yaml);
    expect(applyPatch(service, patch)).toHaveProperty(['metadata', 'annotations', expected?.[1] ?? ''], expected?.[2]);
  });
});
