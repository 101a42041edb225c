// SPDX-License-Identifier: Apache-2.0
import type { Authorization } from '@weft/routing';
import { describe, expect, it } from 'vitest';
import { type TlsClient, compileAuthorizations, defaultPolicy, isDefaultPolicyName, loopbackAuthorization } from './index.ts';

const WEB = 'web.ns.serviceaccount.identity.linkerd.cluster.local';
const PLAIN: TlsClient = { kind: 'none' };
const NO_IDENTITY: TlsClient = { kind: 'tls', identity: undefined };
const ANYWHERE: Authorization['networks'] = [
  { net: '0.0.0.0/0', except: [] },
  { net: '::/0', except: [] },
];

function tls(identity: string): TlsClient {
  return { kind: 'tls', identity };
}

function authorization(name: string, parts: Partial<Authorization>): Authorization {
  return { meta: { kind: 'default', name }, networks: ANYWHERE, authentication: { kind: 'unauthenticated' }, ...parts };
}

function identities(names: readonly string[], suffixes: readonly string[] = []): Partial<Authorization> {
  return { authentication: { kind: 'identities', identities: names, suffixes } };
}

function allows(parts: Partial<Authorization>, ip: string, client: TlsClient): boolean {
  return compileAuthorizations([authorization('a', parts)]).check(ip, client) !== undefined;
}

describe('[AZ-04] AuthorizationSet, authentication', () => {
  it.each<[string, Partial<Authorization>, TlsClient, boolean]>([
    ['nothing asked, plaintext', {}, PLAIN, true],
    ['nothing asked, TLS', {}, tls(WEB), true],
    ['TLS asked, plaintext', { authentication: { kind: 'tls' } }, PLAIN, false],
    ['TLS asked, no identity', { authentication: { kind: 'tls' } }, NO_IDENTITY, true],
    ['TLS asked, identity', { authentication: { kind: 'tls' } }, tls(WEB), true],
    ['a name, plaintext', identities([WEB]), PLAIN, false],
    ['a name, no identity', identities([WEB]), NO_IDENTITY, false],
    ['a name, that one', identities([WEB]), tls(WEB), true],
    ['a name, that one in other case', identities([WEB.toUpperCase()]), tls(WEB), true],
    ['a name, another', identities([WEB]), tls(`x${WEB}`), false],
    ['a name, one below it', identities([WEB]), tls(`x.${WEB}`), false],
    ['two names, the second', identities(['a.b', WEB]), tls(WEB), true],
    ['no names, any identity', identities([]), tls(WEB), false],
    ['an empty name, no identity', identities(['']), NO_IDENTITY, false],
    ['a suffix, one below it', identities([], ['ns.serviceaccount.identity.linkerd.cluster.local']), tls(WEB), true],
    ['a suffix, itself', identities([], [WEB]), tls(WEB), false],
    ['a suffix, without the dot', identities([], [WEB.slice(1)]), tls(WEB), false],
    ['a suffix, nothing before the dot', identities([], ['a.b']), tls('.a.b'), false],
    ['any suffix, any identity', identities([], ['']), tls(WEB), true],
    ['any suffix, no identity', identities([], ['']), NO_IDENTITY, false],
    ['any suffix, plaintext', identities([], ['']), PLAIN, false],
    ['a URI, that one', identities(['spiffe://t/A']), tls('spiffe://t/A'), true],
    ['a URI, in other case', identities(['spiffe://t/A']), tls('spiffe://t/a'), false],
  ])('%s: %s', (_, parts, client, expected) => {
    expect(allows(parts, '10.0.0.1', client)).toBe(expected);
  });
});

describe('[AZ-05] AuthorizationSet, networks', () => {
  it.each<[Authorization['networks'], string, boolean]>([
    [[{ net: '10.0.0.0/8', except: [] }], '10.0.0.1', true],
    [[{ net: '10.0.0.0/8', except: [] }], '::ffff:10.0.0.1', true],
    [[{ net: '10.0.0.0/8', except: [] }], '11.0.0.1', false],
    [[{ net: '10.0.0.0/8', except: ['10.1.0.0/16'] }], '10.1.0.1', false],
    [[{ net: '10.0.0.0/8', except: ['10.1.0.0/16'] }], '::ffff:10.1.0.1', false],
    [[{ net: '10.0.0.0/8', except: ['10.1.0.0/16', '10.2.0.0/16'] }], '10.3.0.1', true],
    [
      [
        { net: '10.0.0.0/8', except: ['10.1.0.0/16'] },
        { net: '10.1.2.0/24', except: [] },
      ],
      '10.1.2.3',
      true,
    ],
    [[{ net: '2001:db8::/32', except: ['2001:db8:1::/48'] }], '2001:db8:1::5', false],
    [[{ net: '2001:db8::/32', except: ['2001:db8:1::/48'] }], '2001:db8:2::5', true],
    [ANYWHERE, 'fe80::1%eth0', true],
    [ANYWHERE, 'not an address', false],
    [ANYWHERE, '', false],
    [[], '10.0.0.1', false],
  ])('%j for %s: %s', (networks, ip, expected) => {
    expect(allows({ networks }, ip, PLAIN)).toBe(expected);
  });

  it('names what does not parse, and lets nobody in by it', () => {
    const networks = [
      { net: '10.0.0.0/99', except: [] },
      { net: '0.0.0.0/0', except: ['bad'] },
      { net: '192.0.2.0/24', except: [] },
    ];
    const set = compileAuthorizations([authorization('a', { networks })]);
    expect(set.errors).toEqual([
      { code: 'ERR_CIDR_PREFIX', text: '10.0.0.0/99' },
      { code: 'ERR_CIDR_ADDRESS', text: 'bad' },
    ]);
    expect(set.check('10.0.0.1', PLAIN)).toBeUndefined();
    expect(set.check('192.0.2.1', PLAIN)).toBeDefined();
  });
});

describe('[AZ-03] AuthorizationSet', () => {
  it('names the first authorization that allows', () => {
    const list = [
      authorization('web only', identities([WEB])),
      authorization('net', { networks: [{ net: '10.0.0.0/8', except: [] }] }),
      authorization('net again', { networks: [{ net: '10.0.0.0/8', except: [] }] }),
    ];
    const set = compileAuthorizations(list);
    expect(set.check('10.0.0.1', tls(WEB))).toBe(list[0]);
    expect(set.check('10.0.0.1', PLAIN)).toBe(list[1]);
    expect(set.check('11.0.0.1', tls(WEB))).toBe(list[0]);
    expect(set.check('11.0.0.1', PLAIN)).toBeUndefined();
    expect(set.errors).toEqual([]);
  });

  it('refuses everybody when it is empty', () => {
    expect(compileAuthorizations([]).check('127.0.0.1', tls(WEB))).toBeUndefined();
  });
});

describe('[AZ-07] default policies', () => {
  const cluster = ['10.0.0.0/8', 'fd00::/8'];
  const table: [string, readonly [ip: string, client: TlsClient][], readonly [ip: string, client: TlsClient][]][] = [
    [
      'deny',
      [],
      [
        ['10.0.0.1', tls(WEB)],
        ['127.0.0.1', PLAIN],
      ],
    ],
    [
      'all-unauthenticated',
      [
        ['192.0.2.1', PLAIN],
        ['2001:db8::1', PLAIN],
      ],
      [],
    ],
    [
      'audit',
      [
        ['192.0.2.1', PLAIN],
        ['2001:db8::1', PLAIN],
      ],
      [],
    ],
    [
      'all-authenticated',
      [['192.0.2.1', tls(WEB)]],
      [
        ['10.0.0.1', PLAIN],
        ['10.0.0.1', NO_IDENTITY],
      ],
    ],
    [
      'cluster-unauthenticated',
      [
        ['10.0.0.1', PLAIN],
        ['fd00::1', PLAIN],
      ],
      [['192.0.2.1', tls(WEB)]],
    ],
    [
      'cluster-authenticated',
      [['10.0.0.1', tls(WEB)]],
      [
        ['10.0.0.1', PLAIN],
        ['192.0.2.1', tls(WEB)],
      ],
    ],
  ];

  it.each(table)('%s', (name, allowed, refused) => {
    expect(isDefaultPolicyName(name)).toBe(true);
    const set = compileAuthorizations(defaultPolicy(name, cluster));
    for (const [ip, client] of allowed) expect(set.check(ip, client)?.meta).toEqual({ kind: 'default', name });
    for (const [ip, client] of refused) expect(set.check(ip, client)).toBeUndefined();
  });

  it('know no other names', () => {
    expect(isDefaultPolicyName('all')).toBe(false);
    expect(() => defaultPolicy('all', cluster)).toThrow(RangeError);
  });

  it('let the pod talk to itself only through the authorization of its own', () => {
    const set = compileAuthorizations([loopbackAuthorization()]);
    for (const ip of ['127.0.0.1', '127.8.8.8', '::1', '::ffff:127.0.0.1']) {
      expect(set.check(ip, PLAIN)?.meta).toEqual({ kind: 'default', name: 'localhost' });
    }
    for (const ip of ['128.0.0.1', '::2', '10.0.0.1']) expect(set.check(ip, PLAIN)).toBeUndefined();
  });
});
