// SPDX-License-Identifier: Apache-2.0
/* Names of workloads (proxy-contract §3.1): DNS-like ones without trailing dot, and SPIFFE IDs (SPIFFE-ID §2). */

const MAX_DNS_NAME_LENGTH = 253;
const MAX_SPIFFE_ID_LENGTH = 2048;

/** Whether the text is a DNS name in lower case without trailing dot. */
export function isDnsIdentity(name: string): boolean {
  return name.length <= MAX_DNS_NAME_LENGTH && name.split('.').every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label));
}

/** Whether the text is `spiffe://trust-domain/path`. Paths keep their case. */
export function isSpiffeId(name: string): boolean {
  return name.length <= MAX_SPIFFE_ID_LENGTH && /^spiffe:\/\/[a-z0-9._-]{1,255}(\/[A-Za-z0-9._-]+)*$/.test(name);
}
