// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type FieldMatch,
  type HostMatch,
  type HttpRouteFound,
  type HttpRouteMatch,
  type HttpRoutes,
  type PathMatch,
  httpTable,
} from './index.ts';

interface NamedRoute extends HttpRoutes {
  readonly name: string;
}

const ANY: HttpRouteMatch = { path: undefined, headers: [], queryParams: [], method: undefined };

function exact(host: string): HostMatch {
  return { kind: 'exact', host };
}

/** `*.x.y` */
function suffix(pattern: string): HostMatch {
  return { kind: 'suffix', reverseLabels: pattern.slice(2).split('.').toReversed() };
}

function route(name: string, match: Partial<HttpRouteMatch> | 'no matches', hosts: readonly HostMatch[] = []): NamedRoute {
  return { name, hosts, rules: [{ matches: match === 'no matches' ? [] : [{ ...ANY, ...match }] }] };
}

function path(kind: PathMatch['kind'], value: string): PathMatch {
  return { kind, value };
}

function field(name: string, value: string, kind: 'exact' | 'regex' = 'exact'): FieldMatch {
  return { name, match: { kind, value } };
}

function find(
  routes: readonly NamedRoute[],
  request: { method?: string; authority?: string | undefined; target?: string; fields?: string[] },
): HttpRouteFound<NamedRoute> | undefined {
  const compiled = httpTable(routes);
  if ('error' in compiled) throw new Error(compiled.error.message);
  const { method = 'GET', authority = 'a.example', target = '/', fields = [] } = request;
  return compiled.table.match(method, 'authority' in request ? request.authority : authority, target, fields);
}

function nameOf(...args: Parameters<typeof find>): string | undefined {
  return find(...args)?.route.name;
}

describe('[RT-06] HttpRouteTable, one match', () => {
  it.each<[string, PathMatch, string, boolean]>([
    ['exact', path('exact', '/a'), '/a', true],
    ['exact', path('exact', '/a'), '/a/', false],
    ['exact', path('exact', '/a'), '/a?b=/c', true],
    ['exact', path('exact', '/a'), '/a#b', true],
    ['exact', path('exact', '/a'), '/A', false],
    ['exact', path('exact', '/caf\u00e9'), '/caf\xc3\xa9', true],
    ['prefix', path('prefix', '/a'), '/a', true],
    ['prefix', path('prefix', '/a'), '/a/', true],
    ['prefix', path('prefix', '/a'), '/a/b', true],
    ['prefix', path('prefix', '/a'), '/ab', false],
    ['prefix', path('prefix', '/a'), '/', false],
    ['prefix', path('prefix', '/a/'), '/a', true],
    ['prefix', path('prefix', '/a/'), '/a/b', true],
    ['prefix', path('prefix', '/a/'), '/ab', false],
    ['prefix', path('prefix', '/'), '/anything', true],
    ['prefix', path('prefix', '/'), '*', true],
    ['prefix', path('prefix', '/a'), '/a%2fb', false],
    ['prefix', path('prefix', '/a'), '/b/../a', false],
    ['regex', path('regex', '/a.*'), '/abc/d', true],
    ['regex', path('regex', '/a'), '/ab', false],
    ['regex', path('regex', 'a'), '/a', false],
    ['regex', path('regex', '/a|/b'), '/b', true],
    ['regex', path('regex', '^/[0-9]+$'), '/123', true],
    ['regex', path('regex', '/.'), '/\xc3\xa9', true],
    ['regex', path('regex', '/a'), '/a?x', true],
  ])('%s %j on %s: %s', (_, match, target, expected) => {
    expect(find([route('r', { path: match })], { target }) !== undefined).toBe(expected);
  });

  it.each<[FieldMatch[], string[], boolean]>([
    [[field('x-a', '1')], ['x-a', '1'], true],
    [[field('x-a', '1')], ['x-b', '1'], false],
    [[field('x-a', '1')], ['x-a', '2', 'x-a', '1'], true],
    [[field('x-a', '1')], ['x-a', '1, 2'], false],
    [[field('X-A', '1')], ['x-a', '1'], true],
    [[field('x-a', '\xff')], ['x-a', '\xff'], true],
    [[field('x-a', '[0-9]+', 'regex')], ['x-a', '123'], true],
    [[field('x-a', '[0-9]+', 'regex')], ['x-a', '123x'], false],
    [[field('x-a', '.*', 'regex')], ['x-a', ''], true],
    [[field('x-a', '.*', 'regex')], [], false],
    [[field('x-a', '.*', 'regex')], ['x-a', '\xff'], false],
    [[field('x-a', '1'), field('x-b', '2')], ['x-b', '2', 'x-a', '1'], true],
    [[field('x-a', '1'), field('x-b', '2')], ['x-a', '1'], false],
  ])('headers %j on %j: %s', (headers, fields, expected) => {
    expect(find([route('r', { headers })], { fields }) !== undefined).toBe(expected);
  });

  it.each<[FieldMatch[], string, boolean]>([
    [[field('q', '1')], '/?q=1', true],
    [[field('q', '1')], '/?x=0&q=1', true],
    [[field('q', '1')], '/?q=2&q=1', true],
    [[field('q', '1')], '/?q=1#q=2', true],
    [[field('q', '1')], '/#?q=1', false],
    [[field('q', '1')], '/q=1', false],
    [[field('q', '')], '/?q', true],
    [[field('q', '')], '/?q=', true],
    [[field('q', '')], '/?', false],
    [[field('Q', '1')], '/?q=1', false],
    [[field('q', 'a b')], '/?q=a+b', true],
    [[field('q', 'a b')], '/?q=a%20b', true],
    [[field('q', 'a+b')], '/?q=a%2Bb', true],
    [[field('q&', '=')], '/?q%26=%3d', true],
    [[field('q', '\u00e9')], '/?q=%C3%A9', true],
    [[field('q', '\u00e9')], '/?q=\xc3\xa9', true],
    [[field('q', '%zz')], '/?q=%zz', true],
    [[field('q', '%')], '/?q=%', true],
    [[field('q', 'a=b')], '/?q=a=b', true],
    [[field('q', '.', 'regex')], '/?q=%C3%A9', true],
    [[field('q', '[a-z]+', 'regex')], '/?q=abc', true],
    [[field('q', '[a-z]+', 'regex')], '/?q=abc1', false],
  ])('query %j on %s: %s', (queryParams, target, expected) => {
    expect(find([route('r', { queryParams })], { target }) !== undefined).toBe(expected);
  });

  it('compares methods with case', () => {
    expect(find([route('r', { method: 'GET' })], { method: 'GET' })).toBeDefined();
    expect(find([route('r', { method: 'GET' })], { method: 'get' })).toBeUndefined();
    expect(find([route('r', { method: 'PURGE' })], { method: 'PURGE' })).toBeDefined();
  });

  it.each<[HostMatch, string | undefined, boolean]>([
    [exact('a.example'), 'a.example', true],
    [exact('a.example'), 'A.Example', true],
    [exact('A.example'), 'a.EXAMPLE:8080', true],
    [exact('a.example'), 'a.example.', true],
    [exact('a.example.'), 'a.example', true],
    [exact('a.example'), 'a.example.:80', true],
    [exact('a.example'), 'user@a.example', true],
    [exact('a.example'), 'b.a.example', false],
    [exact('a.example'), undefined, false],
    [exact('[::1]'), '[::1]:80', true],
    [exact('[::1]'), '[::1]', true],
    [suffix('*.example.com'), 'a.example.com', true],
    [suffix('*.example.com'), 'b.a.EXAMPLE.com:1', true],
    [suffix('*.example.com'), 'example.com', false],
    [suffix('*.example.com'), '.example.com', false],
    [suffix('*.example.com'), 'notexample.com', false],
    [suffix('*.example.com'), undefined, false],
    [{ kind: 'suffix', reverseLabels: [] }, 'a', true],
    [{ kind: 'suffix', reverseLabels: [] }, '', false],
  ])('host %j on %s: %s', (host, authority, expected) => {
    expect(find([route('r', {}, [host])], { authority }) !== undefined).toBe(expected);
  });
});

describe('[RT-12] HttpRouteTable, precedence', () => {
  it.each<[string, NamedRoute[], Parameters<typeof find>[1], string]>([
    [
      'an exact host over a suffix',
      [route('suffix', {}, [suffix('*.x.y')]), route('exact', {}, [exact('a.x.y')])],
      { authority: 'a.x.y' },
      'exact',
    ],
    [
      'a host over no host',
      [route('none', { path: path('exact', '/') }), route('suffix', {}, [suffix('*.x.y')])],
      { authority: 'a.x.y' },
      'suffix',
    ],
    ['the longer suffix', [route('short', {}, [suffix('*.y')]), route('long', {}, [suffix('*.x.y')])], { authority: 'a.x.y' }, 'long'],
    [
      'the best host of a route',
      [route('one', {}, [suffix('*.x.y')]), route('two', {}, [suffix('*.y'), exact('a.x.y')])],
      { authority: 'a.x.y' },
      'two',
    ],
    [
      'the longer prefix',
      [route('short', { path: path('prefix', '/a') }), route('long', { path: path('prefix', '/a/b') })],
      { target: '/a/b/c' },
      'long',
    ],
    [
      'exact over a shorter prefix',
      [route('prefix', { path: path('prefix', '/a') }), route('exact', { path: path('exact', '/a/b') })],
      { target: '/a/b' },
      'exact',
    ],
    [
      'the first of exact and prefix of one length',
      [route('prefix', { path: path('prefix', '/a') }), route('exact', { path: path('exact', '/a') })],
      { target: '/a' },
      'prefix',
    ],
    [
      'a regex by the whole path',
      [route('prefix', { path: path('prefix', '/a/b') }), route('regex', { path: path('regex', '/.*') })],
      { target: '/a/b/c' },
      'regex',
    ],
    [
      'the path over headers',
      [route('headers', { headers: [field('a', '1')] }), route('path', { path: path('prefix', '/a') })],
      { target: '/a', fields: ['a', '1'] },
      'path',
    ],
    [
      'more headers',
      [route('one', { headers: [field('a', '1')] }), route('two', { headers: [field('a', '1'), field('b', '2')] })],
      { fields: ['a', '1', 'b', '2'] },
      'two',
    ],
    [
      'headers over query',
      [route('query', { queryParams: [field('a', '1'), field('b', '1')] }), route('header', { headers: [field('a', '1')] })],
      { target: '/?a=1&b=1', fields: ['a', '1'] },
      'header',
    ],
    [
      'more query parameters',
      [route('one', { queryParams: [field('a', '1')] }), route('two', { queryParams: [field('a', '1'), field('b', '1')] })],
      { target: '/?a=1&b=1' },
      'two',
    ],
    [
      'query over a method',
      [route('method', { method: 'GET' }), route('query', { queryParams: [field('a', '1')] })],
      { target: '/?a=1' },
      'query',
    ],
    ['a method over none', [route('none', {}), route('method', { method: 'GET' })], {}, 'method'],
    ['the first listed of equals', [route('first', {}), route('second', {})], {}, 'first'],
    [
      'a rule without matches like the prefix /',
      [route('no matches', 'no matches'), route('root', { path: path('prefix', '/') })],
      {},
      'no matches',
    ],
    [
      'headers over a rule without matches',
      [route('no matches', 'no matches'), route('header', { headers: [field('a', '1')] })],
      { fields: ['a', '1'] },
      'header',
    ],
    [
      'another route where the best does not hold',
      [route('best', { path: path('exact', '/a'), method: 'POST' }), route('rest', {})],
      { target: '/a' },
      'rest',
    ],
  ])('prefers %s', (_, routes, request, expected) => {
    expect(nameOf(routes, request)).toBe(expected);
  });

  it('skips a route none of whose hosts fits', () => {
    expect(nameOf([route('r', 'no matches', [exact('b')])], { authority: 'a' })).toBeUndefined();
  });

  it('prefers the first listed rule and match inside a route', () => {
    const rules = [{ matches: [{ ...ANY, method: 'GET' }, ANY] }, { matches: [{ ...ANY, method: 'GET' }] }];
    const found = find([{ name: 'r', hosts: [], rules }], {});
    expect(found?.rule).toBe(rules[0]);
    expect(found?.match).toBe(rules[0]?.matches[0]);
  });
});

describe('HttpRouteTable, answers', () => {
  it('gives the same object every time for a table with one catch-all rule, whatever the request', () => {
    for (const only of [route('r', 'no matches'), route('r', {}), route('r', { path: path('prefix', '/') })]) {
      const compiled = httpTable([only]);
      if ('error' in compiled) throw new Error(compiled.error.message);
      const first = compiled.table.match('GET', undefined, '/', []);
      expect(first?.route).toBe(only);
      expect(compiled.table.match('POST', 'b', '*', ['a', '1'])).toBe(first);
    }
  });

  it.each<[Partial<HttpRouteMatch> | 'no matches', string, number]>([
    ['no matches', '/a/b', 0],
    [{ path: path('prefix', '/') }, '/a/b', 0],
    [{ path: path('prefix', '/a') }, '/a/b?c', 2],
    [{ path: path('prefix', '/a/') }, '/a/b', 2],
    [{ path: path('exact', '/a/b') }, '/a/b?c', 4],
    [{ path: path('regex', '/.*') }, '/a/b?c', 4],
  ])('says how much of the path a prefix redirect replaces: %j on %s', (match, target, pathLength) => {
    expect(find([route('r', match)], { target })?.pathLength).toBe(pathLength);
  });

  it('finds nothing in an empty table', () => {
    expect(find([], {})).toBeUndefined();
    expect(find([{ name: 'r', hosts: [], rules: [] }], {})).toBeUndefined();
  });
});

describe('httpTable, bad expressions', () => {
  it.each(['(', '[z-a]', 'a{2,1}', '(?=a)', String.raw`\1`, 'a**', '(?P<a', '((a{100}){100}){100}', '('.repeat(3000)])(
    'answers %s with an error',
    (pattern) => {
      const bad = field('a', pattern, 'regex');
      for (const match of [{ path: path('regex', pattern) }, { headers: [bad] }, { queryParams: [bad] }]) {
        expect(httpTable([route('good', {}), route('bad', match)])).toMatchObject({ error: { code: 'ERR_ROUTE_REGEX' } });
      }
    },
  );

  it('refuses expressions over its limits', () => {
    const table = (pattern: string): unknown => httpTable([route('r', { path: path('regex', pattern) })]);
    expect(table('a'.repeat(4097))).toMatchObject({ error: { code: 'ERR_ROUTE_REGEX_TOO_LARGE' } });
    expect(table(`(${'[a-z]{1000}'.repeat(20)})`)).toMatchObject({ error: { code: 'ERR_ROUTE_REGEX_TOO_LARGE' } });
    expect(table('a'.repeat(4096))).toHaveProperty('table');
    expect(httpTable([route('r', { path: path('regex', 'aaa') })], { maxPatternChars: 2, maxProgramSize: 10 })).toHaveProperty('error');
  });

  it('answers a backtracking bomb like any other expression', () => {
    expect(find([route('r', { path: path('regex', '/(x+x+)+y') })], { target: `/${'x'.repeat(20_000)}` })).toBeUndefined();
  });
});

describe('HttpRouteTable against a naive matcher', () => {
  // Small alphabets, so that hosts, paths and fields often meet.
  const host = fc.constantFrom('a.x.y', 'b.x.y', 'x.y', 'y');
  const hostMatch: fc.Arbitrary<HostMatch> = fc.oneof(
    host.map((name) => exact(name)),
    fc.constantFrom('*.x.y', '*.y', '*.b.x.y').map((pattern) => suffix(pattern)),
  );
  const pathMatch: fc.Arbitrary<PathMatch> = fc.oneof(
    fc.record({ kind: fc.constantFrom('exact', 'prefix'), value: fc.constantFrom('/', '/a', '/a/b', '/a/b/c', '/ab') }),
    fc.record({ kind: fc.constant('regex' as const), value: fc.constantFrom('/.*', '/a', '/a/[bc]', '/a.*') }),
  );
  const fieldMatch: fc.Arbitrary<FieldMatch> = fc.record({
    name: fc.constantFrom('p', 'q'),
    match: fc.record({ kind: fc.constantFrom('exact', 'regex'), value: fc.constantFrom('1', '2') }),
  });
  const match: fc.Arbitrary<HttpRouteMatch> = fc.record({
    path: fc.option(pathMatch, { nil: undefined }),
    headers: fc.array(fieldMatch, { maxLength: 2 }),
    queryParams: fc.array(fieldMatch, { maxLength: 2 }),
    method: fc.option(fc.constantFrom('GET', 'POST'), { nil: undefined }),
  });
  const routes = fc.array(
    fc.record({
      hosts: fc.array(hostMatch, { maxLength: 2 }),
      rules: fc.array(fc.record({ matches: fc.array(match, { maxLength: 3 }) }), { maxLength: 3 }),
    }),
    { maxLength: 4 },
  );
  const pair = fc.tuple(fc.constantFrom('p', 'q'), fc.constantFrom('1', '2'));
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST'),
    authority: fc.option(
      fc.tuple(host, fc.constantFrom('', ':80', '.')).map(([name, end]) => name + end),
      { nil: undefined },
    ),
    path: fc.constantFrom('/', '/a', '/a/', '/a/b', '/a/b/c', '/ab', '/z'),
    query: fc.array(pair, { maxLength: 2 }),
    fields: fc.array(pair, { maxLength: 2 }),
  });

  it('gives the same answer', () => {
    fc.assert(
      fc.property(routes, request, (list, { method, authority, path: requestPath, query, fields }) => {
        const compiled = httpTable(list);
        if ('error' in compiled) throw new Error(compiled.error.message);
        const target = query.length === 0 ? requestPath : `${requestPath}?${query.map((item) => item.join('=')).join('&')}`;
        const found = compiled.table.match(method, authority, target, fields.flat());
        const expected = naiveMatch(list, { method, authority, path: requestPath, query, fields });
        expect(found?.rule).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });
});

interface NaiveRequest {
  readonly method: string;
  readonly authority: string | undefined;
  readonly path: string;
  readonly query: readonly (readonly [string, string])[];
  readonly fields: readonly (readonly [string, string])[];
}

/** Every match that holds with its rank, sorted; written from the contract's words alone. */
function naiveMatch(routes: readonly HttpRoutes[], request: NaiveRequest): unknown {
  const host = request.authority?.replace(/:\d+$/u, '').replace(/\.$/u, '');
  const held: { readonly rule: unknown; readonly rank: readonly number[] }[] = [];
  for (const { hosts, rules } of routes) {
    const hostRanks = hosts.map((item): readonly [number, number] => {
      if (host === undefined) return [-1, 0];
      if (item.kind === 'exact') return item.host === host ? [2, host.length] : [-1, 0];
      const tail = `.${item.reverseLabels.toReversed().join('.')}`;
      return host.endsWith(tail) ? [1, tail.length] : [-1, 0];
    });
    const hostRank = hosts.length === 0 ? [0, 0] : hostRanks.toSorted((a, b) => b[0] - a[0] || b[1] - a[1])[0];
    if (hostRank === undefined || hostRank[0] === -1) continue;
    for (const rule of rules) {
      if (rule.matches.length === 0) held.push({ rule, rank: [...hostRank, 1, 0, 0, 0] });
      for (const item of rule.matches) {
        const length = naivePath(item.path, request.path);
        const holds =
          length !== undefined &&
          item.headers.every((wanted) => request.fields.some(([name, value]) => name === wanted.name && value === wanted.match.value)) &&
          item.queryParams.every((wanted) => request.query.some(([name, value]) => name === wanted.name && value === wanted.match.value)) &&
          (item.method === undefined || item.method === request.method);
        if (holds)
          held.push({ rule, rank: [...hostRank, length, item.headers.length, item.queryParams.length, item.method === undefined ? 0 : 1] });
      }
    }
  }
  // Sorting is stable, so of equals the first listed stays first.
  held.sort((a, b) => a.rank.map((value, i) => b.rank[i] - value).find((difference) => difference !== 0) ?? 0);
  return held[0]?.rule;
}

function naivePath(match: PathMatch | undefined, requestPath: string): number | undefined {
  if (match === undefined) return 1;
  if (match.kind === 'exact') return match.value === requestPath ? match.value.length : undefined;
  if (match.kind === 'regex') return new RegExp(`^(?:${match.value})$`, 'u').test(requestPath) ? requestPath.length : undefined;
  const segments = (text: string): string[] => text.split('/').filter((segment) => segment !== '');
  return segments(match.value).every((segment, i) => segments(requestPath)[i] === segment) ? match.value.length : undefined;
}
