// SPDX-License-Identifier: Apache-2.0
/*
 * May this client connect, or send this request (proxy-contract §6.11)? The first authorization one of whose networks contains the client and
 * whose authentication the client passes says yes, and names itself for metrics and logs. Whatever cannot be understood allows nobody.
 */
import type { Authorization } from '@weft/routing';
import { type Cidr, type CidrError, type CidrSet, parseCidr, parseCidrSet } from './cidr.ts';
import { IdentityMatcher } from './identity-matcher.ts';
import { type IpWords, parseIp } from './ip-address.ts';

/** What the transport found out about the client. */
export type TlsClient =
  /** Plaintext, or TLS that is not ours. */
  | { readonly kind: 'none' }
  /** TLS that we terminated; `identity` is verified, undefined without a client certificate. */
  | { readonly kind: 'tls'; readonly identity: string | undefined };

interface CompiledNetwork {
  readonly net: Cidr;
  readonly except: CidrSet;
}

interface CompiledAuthorization {
  readonly authorization: Authorization;
  readonly networks: readonly CompiledNetwork[];
  readonly needsTls: boolean;
  /** Undefined: an identity is not asked for. */
  readonly identities: IdentityMatcher | undefined;
}

const scratch: IpWords = new Uint32Array(4);

/** Authorizations of a server or a route. Made by `compileAuthorizations`. */
export class AuthorizationSet {
  /** Networks that did not parse. Each of them, and each network with such an exception, allows nobody. */
  readonly errors: readonly CidrError[];
  private readonly compiled: readonly CompiledAuthorization[];

  constructor(compiled: readonly CompiledAuthorization[], errors: readonly CidrError[]) {
    this.compiled = compiled;
    this.errors = errors;
  }

  /** The first authorization that allows the client, or undefined: refuse. `clientIp`: address of the TCP peer. Allocates nothing. */
  check(clientIp: string, tls: TlsClient): Authorization | undefined {
    const family = parseIp(clientIp, scratch);
    if (family === 0) return undefined;
    for (const item of this.compiled) {
      if (passes(item, tls) && isInside(item.networks, family, scratch)) return item.authorization;
    }
    return undefined;
  }
}

function passes(item: CompiledAuthorization, tls: TlsClient): boolean {
  if (!item.needsTls) return true;
  if (tls.kind !== 'tls') return false;
  if (item.identities === undefined) return true;
  return tls.identity !== undefined && item.identities.matches(tls.identity);
}

function isInside(networks: readonly CompiledNetwork[], family: 4 | 6, words: IpWords): boolean {
  for (const { net, except } of networks) {
    if (net.containsWords(family, words) && !except.containsWords(family, words)) return true;
  }
  return false;
}

/** Compiles authorizations in their order. Never fails: see `AuthorizationSet.errors`. */
export function compileAuthorizations(authorizations: readonly Authorization[]): AuthorizationSet {
  const errors: CidrError[] = [];
  const compiled = authorizations.map((authorization): CompiledAuthorization => {
    const { authentication } = authorization;
    return {
      authorization,
      networks: compileNetworks(authorization, errors),
      needsTls: authentication.kind !== 'unauthenticated',
      identities:
        authentication.kind === 'identities' ? new IdentityMatcher(authentication.identities, authentication.suffixes) : undefined,
    };
  });
  return new AuthorizationSet(compiled, errors);
}

function compileNetworks(authorization: Authorization, errors: CidrError[]): CompiledNetwork[] {
  const networks: CompiledNetwork[] = [];
  for (const { net, except } of authorization.networks) {
    const parsed = parseCidr(net);
    const exceptions = parseCidrSet(except);
    errors.push(...exceptions.errors);
    if ('error' in parsed) errors.push(parsed.error);
    // A network whose exception is not understood would let in those whom the exception keeps out.
    else if (exceptions.errors.length === 0) networks.push({ net: parsed.cidr, except: exceptions.set });
  }
  return networks;
}
