// SPDX-License-Identifier: Apache-2.0
/*
 * From who a token belongs to, to the name in its certificate (control-contract §2.3 step 5, proxy-contract §3.1):
 * `system:serviceaccount:<ns>:<sa>` becomes `<sa>.<ns>.serviceaccount.identity.<control-plane ns>.<trust domain>`. Every part must be a
 * DNS label, since a dot inside one could make two accounts share a name.
 */

/** A service account, and the kind of account as the username says it. */
export interface Account {
  readonly type: string;
  readonly namespace: string;
  readonly name: string;
}

/** Where identities live. */
export interface IdentityDomain {
  readonly controllerNamespace: string;
  readonly trustDomain: string;
}

const LABEL = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;

/** Whether text is a DNS-1123 label. */
export function isDnsLabel(text: string): boolean {
  return LABEL.test(text);
}

/** Whether text is a DNS-1123 subdomain: labels joined by dots, 253 characters at most. */
export function isDnsSubdomain(text: string): boolean {
  return text.length <= 253 && text.split('.').every((label) => LABEL.test(label));
}

/** Reads the username of a reviewed token; undefined when it is no account's. */
export function parseUsername(username: string): Account | undefined {
  const parts = username.split(':', 5);
  const [system, type, namespace, name] = parts;
  if (parts.length !== 4 || system !== 'system' || !type || !namespace || !name) return undefined;
  if (![type, namespace, name].every(isDnsLabel)) return undefined;
  return { type, namespace, name };
}

/** The identity of an account. */
export function identityOf(account: Account, domain: IdentityDomain): string {
  return `${account.name}.${account.namespace}.${account.type}.identity.${domain.controllerNamespace}.${domain.trustDomain}`;
}
