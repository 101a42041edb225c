// SPDX-License-Identifier: Apache-2.0
/*
 * Whether a verified client identity is one of those that an authorization names (proxy-contract §5.5). DNS-like names are compared without case;
 * URIs, whose paths have case, as they are, and whole.
 */

/** Names and suffixes of one authorization. */
export class IdentityMatcher {
  private readonly names: ReadonlySet<string>;
  /** `.a.b` for the suffix `a.b`. */
  private readonly suffixes: readonly string[];
  private readonly matchesAny: boolean;

  /** `suffixes`: labels joined by dots; '' stands for any identity. */
  constructor(names: readonly string[], suffixes: readonly string[]) {
    this.names = new Set(names.map(normalize));
    this.suffixes = suffixes.filter((suffix) => suffix !== '').map((suffix) => `.${suffix.toLowerCase()}`);
    this.matchesAny = suffixes.includes('');
  }

  matches(identity: string): boolean {
    if (this.matchesAny) return true;
    const normalized = normalize(identity);
    if (this.names.has(normalized)) return true;
    // A URI is never matched by a suffix of DNS labels: its path is free text.
    if (isUri(normalized)) return false;
    for (const suffix of this.suffixes) {
      // The dot is part of the suffix, so something stands before it.
      if (normalized.length > suffix.length && normalized.endsWith(suffix)) return true;
    }
    return false;
  }
}

function normalize(identity: string): string {
  return isUri(identity) ? identity : identity.toLowerCase();
}

function isUri(identity: string): boolean {
  return identity.includes('://');
}
