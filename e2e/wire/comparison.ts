// SPDX-License-Identifier: Apache-2.0
/*
 * Two answers side by side: both are brought into one flat form (what depends on the run or has no meaning is taken out), and what differs
 * must be exactly what the list of differences says. A difference that has gone fails as one that has come.
 */
/** Path → text. */
export type Flat = Readonly<Record<string, string>>;

/** A known departure from the reference: its reason, and what ours gives at each path that differs (null = nothing). */
export interface Difference {
  readonly because: string;
  readonly ours: Readonly<Record<string, string | null>>;
}

/** What differs, and what was known to; a test expects them to be equal. Each path shows both sides. */
export interface Comparison {
  readonly differing: Readonly<Record<string, Sides>>;
  readonly known: Readonly<Record<string, Sides>>;
}

interface Sides {
  readonly ours: string | null;
  readonly reference: string | null;
}

/** Compares answers path by path. */
export function compare(ours: Flat, reference: Flat, known: Difference | undefined): Comparison {
  const sides = (path: string, value: string | null): [string, Sides] => [path, { ours: value, reference: reference[path] ?? null }];
  const paths = [...new Set([...Object.keys(reference), ...Object.keys(ours)])];
  return {
    differing: Object.fromEntries(paths.filter((path) => ours[path] !== reference[path]).map((path) => sides(path, ours[path] ?? null))),
    known: Object.fromEntries(Object.entries(known?.ours ?? {}).map(([path, value]) => sides(path, value))),
  };
}

/** Ports of clients are of the run. */
export function withoutPorts(text: string): string {
  return text.replaceAll(/(client 10\.244\.0\.(?:26|30)):\d+/g, '$1:PORT');
}

/** Fields as lines `name: value`; `date` is of the run. Order between different names means nothing. */
export function flatFields(prefix: string, fields: readonly string[]): Flat {
  const flat: Record<string, string> = {};
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]?.toLowerCase();
    if (name === 'date') continue;
    const path = `${prefix}${name}`;
    const value = withoutPorts(fields[i + 1] ?? '');
    flat[path] = path in flat ? `${flat[path]} | ${value}` : value;
  }
  return flat;
}

/** A body: JSON of an echoed request becomes its parts. Any other is text. */
export function flatBody(prefix: string, body: string): Flat {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return { [prefix]: body };
  }
  if (typeof value !== 'object' || value === null) return { [prefix]: body };
  const flat: Record<string, string> = {};
  for (const [key, part] of Object.entries(value)) {
    if (key === 'rawHeaders') Object.assign(flat, flatFields(`${prefix}.saw.`, part as string[]));
    else flat[`${prefix}.${key}`] = String(part);
  }
  return flat;
}

/** An HTTP/1 answer as it stood on the wire; several answers are told apart by a number. */
export function flatHttp1(raw: string): Flat {
  if (raw === '') return {};
  const flat: Record<string, string> = {};
  let rest = raw;
  for (let count = 1; rest !== ''; count++) {
    const prefix = count === 1 ? '' : `${count}:`;
    const at = rest.indexOf('\r\n\r\n');
    if (!rest.startsWith('HTTP/') || at < 0) {
      flat[`${prefix}bytes`] = rest;
      break;
    }
    const [status = '', ...lines] = rest.slice(0, at).split('\r\n');
    rest = rest.slice(at + 4);
    flat[`${prefix}status`] = status;
    const fields = lines.flatMap((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
    const shown = flatFields(`${prefix}field.`, fields);
    Object.assign(flat, shown);
    let body: string;
    if (status.includes(' 101 ') || shown[`${prefix}field.transfer-encoding`] === undefined) {
      const length = Number(shown[`${prefix}field.content-length`] ?? rest.length);
      body = rest.slice(0, length);
      rest = rest.slice(length);
    } else {
      [body, rest] = dechunk(rest);
    }
    // A list of fields and then what was echoed: the answer to an upgrade.
    const [, list, echoed] = /^(\[.*\])\n([\s\S]*)$/.exec(body) ?? [];
    if (list === undefined) Object.assign(flat, flatBody(`${prefix}body`, body));
    else Object.assign(flat, flatFields(`${prefix}body.saw.`, JSON.parse(list) as string[]), { [`${prefix}body.echoed`]: echoed ?? '' });
  }
  return flat;
}

/** Content of a chunked body, and what follows it. */
function dechunk(text: string): [string, string] {
  let body = '';
  let rest = text;
  for (;;) {
    const at = rest.indexOf('\r\n');
    const size = Number.parseInt(rest.slice(0, at), 16);
    if (at < 0 || Number.isNaN(size)) return [`${body}<cut>${rest}`, ''];
    rest = rest.slice(at + 2);
    if (size === 0) return [body, rest.slice(rest.indexOf('\r\n') + 2)];
    body += rest.slice(0, size);
    rest = rest.slice(size + 2);
  }
}

/** One HTTP/2 answer. gRPC messages are shown by what they hold. */
export function flatHttp2(
  prefix: string,
  answer: { headers?: readonly string[] | undefined; trailers?: readonly string[] | null | undefined; body?: string; end?: string },
): Flat {
  const { headers, trailers, body = '' } = answer;
  const isMessage = body.startsWith('\0');
  return {
    ...(headers === undefined ? {} : flatFields(`${prefix}field.`, headers)),
    ...(trailers === undefined || trailers === null ? {} : flatFields(`${prefix}trailer.`, trailers)),
    ...(isMessage ? flatFields(`${prefix}message.saw.`, JSON.parse(body.slice(5)) as string[]) : flatBody(`${prefix}body`, body)),
  };
}
