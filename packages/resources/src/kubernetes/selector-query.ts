// SPDX-License-Identifier: Apache-2.0
/*
 * Selectors in query parameters: `labelSelector` (equality and presence here) and `fieldSelector` on name, namespace and node. Source: Kubernetes,
 * "Labels and Selectors", "Field Selectors".
 */
import { ResourceError } from '../errors.ts';
import { setOwn } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { Selector } from '../types.ts';

/** Adds a selector to a query; its namespace goes into the path. */
export function addSelector(query: URLSearchParams, selector: Selector | undefined): void {
  const labels = [...Object.entries(selector?.labels ?? {}).map(([key, value]) => `${key}=${value}`), ...(selector?.hasLabels ?? [])];
  if (labels.length > 0) query.set('labelSelector', labels.join(','));
  const fields: string[] = [];
  if (selector?.name !== undefined) fields.push(`metadata.name=${selector.name}`);
  if (selector?.nodeName !== undefined) fields.push(`spec.nodeName=${selector.nodeName}`);
  if (fields.length > 0) query.set('fieldSelector', fields.join(','));
}

function terms(text: string): string[] {
  return text.split(',').filter((term) => term.trim() !== '');
}

/** A term that names a label and says nothing of its value. */
function presence(term: string): string | undefined {
  return /^\s*([A-Za-z0-9][-A-Za-z0-9_./]*)\s*$/.exec(term)?.[1];
}

function equalities(all: readonly string[]): readonly (readonly [string, string])[] {
  return all.map((term) => {
    const match = /^\s*([^\s!=]+)\s*==?\s*([^\s!=]*)\s*$/.exec(term);
    if (match === null) {
      throw new ResourceError(
        'ERR_INVALID',
        `unable to parse requirement: ${JSON.stringify(term)}: only equality and presence are served`,
        {
          status: 400,
          reason: 'BadRequest',
        },
      );
    }
    return [match[1] ?? '', match[2] ?? ''] as const;
  });
}

/** The selector in a query, within `namespace` ('' for all). Throws ERR_INVALID for what is not served. */
export function selectorOf(query: URLSearchParams, namespace: string): Selector {
  const labels: JsonObject = {};
  const labelTerms = terms(query.get('labelSelector') ?? '');
  const hasLabels = labelTerms.flatMap((term) => presence(term) ?? []);
  const equal = labelTerms.filter((term) => presence(term) === undefined);
  for (const [key, value] of equalities(equal)) setOwn(labels, key, value);
  const fields = new Map(equalities(terms(query.get('fieldSelector') ?? '')));
  for (const field of fields.keys()) {
    if (field === 'metadata.name' || field === 'metadata.namespace' || field === 'spec.nodeName') continue;
    throw new ResourceError('ERR_INVALID', `field label not supported: ${field}`, { status: 400, reason: 'BadRequest' });
  }
  const name = fields.get('metadata.name');
  const nodeName = fields.get('spec.nodeName');
  const within = namespace === '' ? fields.get('metadata.namespace') : namespace;
  return {
    labels: labels as Record<string, string>,
    ...(hasLabels.length === 0 ? {} : { hasLabels }),
    ...(name === undefined ? {} : { name }),
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(within === undefined ? {} : { namespace: within }),
  };
}
