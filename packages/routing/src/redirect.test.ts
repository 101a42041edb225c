// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { type Filter, type Redirect, type RedirectRequest, evaluateRedirect } from './index.ts';

type RedirectFilter = Extract<Filter, { kind: 'redirect' }>;

const NOTHING: RedirectFilter = { kind: 'redirect', scheme: undefined, host: undefined, path: undefined, port: 0, status: 0 };
const REQUEST: RedirectRequest = { scheme: 'http', authority: 'h.example:8080', path: '/a/b?c=d', matchedPrefixLength: 2 };

function evaluate(filter: Partial<RedirectFilter>, request: Partial<RedirectRequest> = {}): Redirect | undefined {
  return evaluateRedirect({ ...NOTHING, ...filter }, { ...REQUEST, ...request });
}

describe('[RT-10] evaluateRedirect', () => {
  it('keeps the port and the query where the host changes, as the reference was seen to do', () => {
    const request = { authority: 'routes.vec-net.svc.cluster.local:8080', path: '/redirect/a?b=c' };
    expect(evaluate({ host: 'other.example.com' }, request)).toEqual({
      status: 301,
      location: 'http://other.example.com:8080/redirect/a?b=c',
    });
    const inbound = { authority: 'server.vec-net.svc.cluster.local', path: '/redir/x' };
    expect(evaluate({ host: 'in.example.com', status: 302 }, inbound)).toEqual({ status: 302, location: 'http://in.example.com/redir/x' });
  });

  it.each<[Partial<RedirectFilter>, Partial<RedirectRequest>, string]>([
    [{ scheme: 'https' }, {}, 'https://h.example:8080/a/b?c=d'],
    [{ scheme: 'https', port: 443 }, {}, 'https://h.example/a/b?c=d'],
    [{ port: 80 }, {}, 'http://h.example/a/b?c=d'],
    [{ port: 443 }, {}, 'http://h.example:443/a/b?c=d'],
    [{ port: 9090 }, { authority: 'h.example' }, 'http://h.example:9090/a/b?c=d'],
    [{ port: 9090 }, { authority: '[::1]' }, 'http://[::1]:9090/a/b?c=d'],
    [{ port: 9090 }, { authority: '[::1]:1' }, 'http://[::1]:9090/a/b?c=d'],
    [{ path: { kind: 'full', value: '/new' } }, {}, 'http://h.example:8080/new?c=d'],
    [{ path: { kind: 'full', value: 'new' } }, {}, 'http://h.example:8080/new?c=d'],
    [{ path: { kind: 'prefix', value: '/new' } }, {}, 'http://h.example:8080/new/b?c=d'],
    [{ path: { kind: 'prefix', value: '/new/' } }, {}, 'http://h.example:8080/new/b?c=d'],
    [{ path: { kind: 'prefix', value: '/' } }, {}, 'http://h.example:8080/b?c=d'],
    [{ path: { kind: 'prefix', value: '' } }, {}, 'http://h.example:8080/b?c=d'],
    [{ path: { kind: 'prefix', value: '/new' } }, { path: '/a' }, 'http://h.example:8080/new'],
    [{ path: { kind: 'prefix', value: '/' } }, { path: '/a' }, 'http://h.example:8080/'],
    [{ path: { kind: 'prefix', value: '/new' } }, { matchedPrefixLength: 0 }, 'http://h.example:8080/new/a/b?c=d'],
    [{ path: { kind: 'prefix', value: '/new' } }, { path: '/a', matchedPrefixLength: 9 }, 'http://h.example:8080/new'],
    [{ path: { kind: 'full', value: '//evil.example' } }, {}, 'http://h.example:8080/evil.example?c=d'],
    [{ path: { kind: 'prefix', value: '/' } }, { path: '/a//evil.example' }, 'http://h.example:8080/evil.example'],
    [{ port: 81 }, { authority: '', path: '//evil.example' }, '/evil.example'],
    [{ host: 'x', port: 81 }, { authority: '' }, 'http://x:81/a/b?c=d'],
  ])('%j for %j leads to %s', (filter, request, location) => {
    expect(evaluate(filter, request)?.location).toBe(location);
  });

  it.each<[Partial<RedirectFilter>, Partial<RedirectRequest>]>([
    [{ scheme: 'http' }, {}],
    [{ scheme: 'HTTP', status: 308 }, {}],
    [{ host: 'H.example' }, {}],
    [{ port: 8080 }, {}],
    [{ port: 80 }, { authority: 'h.example' }],
    [{ port: 80 }, { authority: 'h.example:80' }],
    [{ path: { kind: 'full', value: '/a/b' } }, {}],
    [{ path: { kind: 'prefix', value: '/a' } }, {}],
    [{ scheme: 'http', host: 'h.example', port: 8080, path: { kind: 'full', value: '/a/b' } }, {}],
  ])('skips %j for %j, which leads back', (filter, request) => {
    expect(evaluate(filter, request)).toBeUndefined();
  });

  it('answers a redirect that changes only the status', () => {
    expect(evaluate({ status: 307 })).toEqual({ status: 307, location: 'http://h.example:8080/a/b?c=d' });
  });
});
