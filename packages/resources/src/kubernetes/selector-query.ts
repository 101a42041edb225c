// SPDX-License-Identifier: Apache-2.0
/*
 * Selectors in query parameters: `labelSelector` (equality only here) and `fieldSelector` on name and namespace. Source: Kubernetes,
 * "Labels and Selectors", "Field Selectors".
 */
import { ResourceError } from '../errors.ts';
import { setOwn } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import type { Selector } from '../types.ts';

/** Adds a selector to a query; its namespace goes into the path. */
export function addSelector(query: URLSearchParams, selector: Selector | undefined): void {
  const labels = Object.entries(selector?.labels ?? {}).map(([key, value]) => `${key}=${value}`);
  if (labels.length > 0) query.set('labelSelector', labels.join(','));
  if (selector?.name !== undefined) query.set('fieldSelector', `metadata.name=${selector.name}`);
}

function equalities(text: string): readonly (readonly [string, string])[] {
  return text
    .split(',')
    .filter((term) => term.trim() !== '')
    .map((term) => {
      const match = /^\s*([^\s!=]+)\s*==?\s*([^\s!=]*)\s*$/.exec(term);
      if (match === null) {
        throw new ResourceError('ERR_INVALID', `unable to parse requirement: ${JSON.stringify(term)}: only equality is served`, {
          status: 400,
          reason: 'BadRequest',
        });
      }
      return [match[1] ?? '', match[2] ?? ''] as const;
    });
}

/** The selector in a query, within `namespace` ('' for all). Throws ERR_INVALID for what is not served. */
export function selectorOf(query: URLSearchParams, namespace: string): Selector {
  const labels: JsonObject = {};
  for (const [key, value] of equalities(query.get('labelSelector') ?? '')) setOwn(labels, key, value);
  const fields = new Map(equalities(query.get('fieldSelector') ?? ''));
  for (const field of fields.keys()) {
    if (field === 'metadata.name' || field === 'metadata.namespace') continue;
    throw new ResourceError('ERR_INVALID', `field label not supported: ${field}`, { status: 400, reason: 'BadRequest' });
  }
  const name = fields.get('metadata.name');
  const within = namespace === '' ? fields.get('metadata.namespace') : namespace;
  return {
    labels: labels as Record<string, string>,
    ...(name === undefined ? {} : { name }),
    ...(within === undefined ? {} : { namespace: within }),
  };
}
