// SPDX-License-Identifier: Apache-2.0
/*
 * Every captured admission case against the schemas of the chart and the rules here together, as an API server with the webhooks would
 * decide. Where the verdict or who gives it differs, DIFFERENCES.md says why, and each line there must still be true.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createMemorySource, isResourceError, parseApiVersion, readCustomTypes, type ResourceInput } from '@weft/resources';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { admissionRules } from './admission-rules.ts';

interface Recorded {
  readonly allowed: boolean;
  readonly refused_by?: string;
  readonly message?: string;
}

const vectors = new URL('testdata/vectors/admission/', import.meta.url);
const { types } = await readCustomTypes(fileURLToPath(new URL('../../../charts/weft-crds/files/', import.meta.url)));
const names = readdirSync(vectors).sort();

/** Rows `| case | reference | here | why |`. */
const differences = new Map(
  readFileSync(new URL('../DIFFERENCES.md', import.meta.url), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      const name = /^`([a-z-]+)`$/.exec(cells[1] ?? '')?.[1];
      return name === undefined ? [] : [[name, cells[3] ?? ''] as const];
    }),
);

function verdictHere(name: string): { readonly by: string; readonly message: string } {
  const input = parse(readFileSync(new URL(`${name}/manifest.yaml`, vectors), 'utf8')) as ResourceInput;
  const source = createMemorySource({ customTypes: types, admit: admissionRules() });
  try {
    source.store.create({ ...parseApiVersion(input.apiVersion), kind: input.kind }, input);
    return { by: 'admitted', message: '' };
  } catch (error) {
    if (!isResourceError(error)) throw error;
    return { by: error.code === 'ERR_INVALID' ? 'schema' : 'rules', message: error.message };
  }
}

function recordedVerdict(name: string): string {
  const recorded = JSON.parse(readFileSync(new URL(`${name}/response.json`, vectors), 'utf8')) as Recorded;
  if (recorded.allowed) return 'admitted';
  return recorded.refused_by === 'api server' ? 'schema' : 'rules';
}

describe('[AZ-16] captured admission cases', () => {
  it('are all here', () => {
    expect(names).toHaveLength(82);
  });

  it.each(names)('%s', (name) => {
    expect(verdictHere(name).by).toBe(differences.get(name) ?? recordedVerdict(name));
  });

  it('differ wherever a difference is claimed', () => {
    expect([...differences.keys()].filter((name) => !names.includes(name) || verdictHere(name).by === recordedVerdict(name))).toEqual([]);
  });

  it('are refused with the field, the reason and the remedy', () => {
    const messages = names.flatMap((name) => {
      const { by, message } = verdictHere(name);
      return by === 'rules' ? [`${name}: ${message.replace(/^admission denied the request: /, '')}`] : [];
    });
    expect(messages).toMatchSnapshot();
  });
});
