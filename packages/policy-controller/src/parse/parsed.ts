// SPDX-License-Identifier: Apache-2.0
/*
 * What a parser of user-written configuration returns: the value, or why there is none. A bad object of a user is an ordinary event for
 * the controller (control-contract §3.1: it is skipped with a warning), so it is a value here and never an exception.
 */

/** A value, or the reason why the text or object means nothing. `reason` is for an operator's log. */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** A parsed value. */
export function valid<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** The reason for having none. */
export function invalid(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}

/**
 * What `parse` returns, or what it threw as a reason: a schema that is not enforced (an old CRD, a directory of files) can let through objects
 * of impossible shape, and one of those must not take others down with it.
 */
export function attempt<T>(parse: () => Parsed<T>): Parsed<T> {
  try {
    return parse();
  } catch (error) {
    return invalid(error instanceof Error ? error.message : String(error));
  }
}

/** Parses every item; the first failure is the failure of the list. An absent list is an empty one. */
export function parseEach<In, Out>(items: readonly In[] | undefined, parse: (item: In) => Parsed<Out>): Parsed<Out[]> {
  const values: Out[] = [];
  for (const item of items ?? []) {
    const parsed = parse(item);
    if (!parsed.ok) return parsed;
    values.push(parsed.value);
  }
  return valid(values);
}
