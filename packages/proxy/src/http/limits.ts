// SPDX-License-Identifier: Apache-2.0
/* Limits of HTTP connections that no codec can keep, because they are of time. One set per thread, as in `net`. */

export interface HttpLimits {
  /** From the first octet of an HTTP/1 request head to its last. A client that takes longer is answered 408 (slowloris). */
  readonly http1HeadTimeoutMs: number;
}

/** The limits in force for connections accepted from now on. */
export const httpLimits: { -readonly [Name in keyof HttpLimits]: HttpLimits[Name] } = {
  http1HeadTimeoutMs: 30_000,
};

/** Changes limits of this thread. */
export function configureHttp(limits: Partial<HttpLimits>): void {
  Object.assign(httpLimits, limits);
}
