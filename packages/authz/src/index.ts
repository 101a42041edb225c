// SPDX-License-Identifier: Apache-2.0
export { AuthorizationSet, type TlsClient, compileAuthorizations } from './authorization-set.ts';
export { type DefaultPolicyName, defaultPolicy, isDefaultPolicyName, loopbackAuthorization } from './default-policy.ts';
export { Cidr, type CidrError, type CidrErrorCode, CidrSet, parseCidr, parseCidrSet } from './cidr.ts';
export { type IpFamily, type IpWords, parseIp } from './ip-address.ts';
export { MAX_TRACKED_IDENTITIES, type RateLimitExceeded, RateLimiter } from './rate-limiter.ts';
