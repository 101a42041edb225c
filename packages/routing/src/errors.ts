// SPDX-License-Identifier: Apache-2.0
/*
 * What can be wrong with a route that came over the wire. A control plane's mistake is a value: the caller answers requests of such a policy
 * with an error and goes on living.
 */

/** `ERR_ROUTE_REGEX`: not in RE2's syntax. `ERR_ROUTE_REGEX_TOO_LARGE`: over a limit of `RegexLimits`. */
export type RouteErrorCode = 'ERR_ROUTE_REGEX' | 'ERR_ROUTE_REGEX_TOO_LARGE';

export interface RouteError {
  readonly code: RouteErrorCode;
  /** For operators; names the regular expression, cut to 100 characters. */
  readonly message: string;
}
