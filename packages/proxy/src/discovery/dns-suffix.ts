// SPDX-License-Identifier: Apache-2.0
/* DNS suffixes as the configuration has them (proxy-contract §1.1): names that profiles exist for, names that a gateway serves. */

/** Whether a name is one of the suffixes or ends with one; '' = everything (the root). */
export function hasSuffix(name: string, suffixes: readonly string[]): boolean {
  const bare = withoutDot(name.toLowerCase());
  return suffixes.some((suffix) => {
    const end = withoutDot(suffix.toLowerCase());
    return end === '' || bare === end || bare.endsWith(`.${end}`);
  });
}

function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
