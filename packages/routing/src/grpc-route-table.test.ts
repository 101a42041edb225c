// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type GrpcRouteFound, type GrpcRouteMatch, type GrpcRoutes, grpcTable } from './index.ts';

interface NamedRoute extends GrpcRoutes {
  readonly name: string;
}

function route(name: string, match: Partial<GrpcRouteMatch> | 'no matches', host?: string): NamedRoute {
  const matches = match === 'no matches' ? [] : [{ service: '', method: '', headers: [], ...match }];
  return { name, hosts: host === undefined ? [] : [{ kind: 'exact', host }], rules: [{ matches }] };
}

function find(
  routes: readonly NamedRoute[],
  target: string,
  fields: string[] = [],
  method = 'POST',
): GrpcRouteFound<NamedRoute> | undefined {
  const compiled = grpcTable(routes);
  if ('error' in compiled) throw new Error(compiled.error.message);
  return compiled.table.match(method, 'a.example', target, fields);
}

describe('[RT-02] GrpcRouteTable', () => {
  it.each<[Partial<GrpcRouteMatch>, string, boolean]>([
    [{}, '/p.S/M', true],
    [{ service: 'p.S' }, '/p.S/M', true],
    [{ service: 'p.S' }, '/p.SS/M', false],
    [{ service: 'p.S' }, '/xp.S/M', false],
    [{ method: 'M' }, '/p.S/M', true],
    [{ method: 'M' }, '/p.S/MM', false],
    [{ method: 'M' }, '/p.S/XM', false],
    [{ service: 'p.S', method: 'M' }, '/p.S/M', true],
    [{ service: 'p.S', method: 'M' }, '/p.s/m', false],
    [{}, '/p.S', false],
    [{}, '/p.S/', false],
    [{}, '//M', false],
    [{}, '/p.S/M/x', false],
    [{}, '/', false],
    [{}, '*', false],
    [{}, '', false],
  ])('%j on %s: %s', (match, target, expected) => {
    expect(find([route('r', match)], target) !== undefined).toBe(expected);
  });

  it('takes only POST for a call, but any request for a rule without matches', () => {
    expect(find([route('r', {})], '/p.S/M', [], 'GET')).toBeUndefined();
    expect(find([route('r', 'no matches')], '/x', [], 'GET')?.route.name).toBe('r');
    expect(find([route('call', { method: 'M' }), route('rest', 'no matches')], '/x', [], 'GET')?.route.name).toBe('rest');
  });

  it.each<[string, NamedRoute[], string]>([
    ['a service', [route('any', {}), route('service', { service: 'p.S' })], 'service'],
    ['a service over a method', [route('method', { method: 'Method' }), route('service', { service: 'p.S' })], 'service'],
    ['a method', [route('service', { service: 'p.S' }), route('both', { service: 'p.S', method: 'Method' })], 'both'],
    [
      'a method over headers',
      [route('header', { headers: [{ name: 'a', match: { kind: 'exact', value: '1' } }] }), route('method', { method: 'Method' })],
      'method',
    ],
    ['headers', [route('any', {}), route('header', { headers: [{ name: 'a', match: { kind: 'regex', value: '[0-9]' } }] })], 'header'],
    ['a host', [route('both', { service: 'p.S', method: 'Method' }), route('host', 'no matches', 'a.example')], 'host'],
    ['the first listed of equals', [route('first', {}), route('second', {})], 'first'],
    ['a call over no matches only when listed first', [route('first', 'no matches'), route('second', {})], 'first'],
  ])('prefers %s', (_, routes, expected) => {
    expect(find(routes, '/p.S/Method', ['a', '1'])?.route.name).toBe(expected);
  });

  it('gives the same object every time', () => {
    const compiled = grpcTable([route('r', 'no matches')]);
    if ('error' in compiled) throw new Error(compiled.error.message);
    expect(compiled.table.match('POST', undefined, '/p.S/M', [])).toBe(compiled.table.match('GET', 'b', '/', []));
  });

  it('finds nothing in an empty table', () => {
    expect(find([], '/p.S/M')).toBeUndefined();
  });

  it('answers a bad expression with an error', () => {
    const bad = route('r', { headers: [{ name: 'a', match: { kind: 'regex', value: '(' } }] });
    expect(grpcTable([bad])).toMatchObject({ error: { code: 'ERR_ROUTE_REGEX' } });
  });
});
