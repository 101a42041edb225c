// SPDX-License-Identifier: Apache-2.0
import { assert, integer, oneof, property, string, stringMatching } from 'fast-check';
import { describe, expect, it } from 'vitest';

import { MAX_AUTHORITY_LENGTH, parseAuthority, parseServiceName } from './authority.ts';

describe('parseAuthority', () => {
  it.each([
    ['web.ns.svc.cluster.local', 'web.ns.svc.cluster.local', 80],
    ['web:8080', 'web', 8080],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[::1]:65535', '::1', 65_535],
    ['[2001:db8::1]:80', '2001:db8::1', 80],
    [':80', '', 80],
    ['web:+80', 'web', 80],
    ['web:0080', 'web', 80],
    ['', '', 80],
  ])('[LB-03] splits %j', (path, host, port) => {
    expect(parseAuthority(path)).toEqual({ host, port });
  });

  it.each([
    ['a:b:80', 'invalid destination: address a:b:80: too many colons in address'],
    ['::1', 'invalid destination: address ::1: too many colons in address'],
    ['[::1]', 'invalid destination: address [::1]: missing port in address'],
    ['[::1', "invalid destination: address [::1: missing ']' in address"],
    ['[::1]80:80', 'invalid destination: address [::1]80:80: missing port in address'],
    ['[::1]:80:80', 'invalid destination: address [::1]:80:80: too many colons in address'],
    ['a[b:80', "invalid destination: address a[b:80: unexpected '[' in address"],
    ['a]b:80', "invalid destination: address a]b:80: unexpected ']' in address"],
    ['web:', 'invalid port : strconv.Atoi: parsing "": invalid syntax'],
    ['web:x', 'invalid port x: strconv.Atoi: parsing "x": invalid syntax'],
    ['web:8.0', 'invalid port 8.0: strconv.Atoi: parsing "8.0": invalid syntax'],
    ['web:0', 'invalid port 0'],
    ['web:-1', 'invalid port -1'],
    ['web:65536', 'invalid port 65536'],
    ['web:99999999999999999999', 'invalid port 99999999999999999999: strconv.Atoi: parsing "99999999999999999999": value out of range'],
  ])('refuses %j', (path, reason) => {
    expect(parseAuthority(path)).toEqual({ reason });
  });

  it('refuses endless authorities', () => {
    expect(parseAuthority('a'.repeat(MAX_AUTHORITY_LENGTH))).toHaveProperty('host');
    expect(parseAuthority('a'.repeat(MAX_AUTHORITY_LENGTH + 1))).toHaveProperty('reason');
  });

  it('gives a port between 1 and 65535 or a reason, whatever comes', () => {
    assert(
      property(oneof(string(), stringMatching(/^[a-z.[\]:]{0,9}:[0-9+-]{0,7}$/)), (path) => {
        const parsed = parseAuthority(path);
        return 'reason' in parsed || (Number.isInteger(parsed.port) && parsed.port >= 1 && parsed.port <= 65_535);
      }),
    );
  });

  it('inverts host and port joined', () => {
    assert(
      property(stringMatching(/^[a-z0-9.-]{0,20}$/), integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(parseAuthority(`${host}:${port}`)).toEqual({ host, port });
      }),
    );
  });
});

describe('parseServiceName', () => {
  it.each([
    ['web.ns.svc.cluster.local', { service: 'web', namespace: 'ns', instance: undefined }],
    ['web-0.web.ns.svc.cluster.local', { service: 'web', namespace: 'ns', instance: 'web-0' }],
    ['svc.svc.svc.cluster.local', { service: 'svc', namespace: 'svc', instance: undefined }],
  ])('[LB-03] [LB-07] reads %j', (host, name) => {
    expect(parseServiceName(host, 'cluster.local')).toEqual(name);
  });

  it.each([
    ['web.ns.svc.cluster.local.', 'name web.ns.svc.cluster.local. does not match cluster domain cluster.local'],
    ['web.ns', 'name web.ns does not match cluster domain cluster.local'],
    ['svc.cluster.local', 'name svc.cluster.local does not match cluster domain cluster.local'],
    ['web.ns.xsvc.cluster.local', 'name web.ns.xsvc.cluster.local does not match cluster domain cluster.local'],
    ['web.svc.cluster.local', 'name web.svc.cluster.local names no service'],
    ['.ns.svc.cluster.local', 'name .ns.svc.cluster.local names no service'],
    ['a.b.c.d.svc.cluster.local', 'name a.b.c.d.svc.cluster.local names no service'],
  ])('refuses %j', (host, reason) => {
    expect(parseServiceName(host, 'cluster.local')).toEqual({ reason });
  });

  it('knows other cluster domains', () => {
    expect(parseServiceName('web.ns.svc.a.example', 'a.example')).toMatchObject({ service: 'web' });
  });
});
