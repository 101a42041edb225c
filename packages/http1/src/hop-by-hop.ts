// SPDX-License-Identifier: Apache-2.0
/*
 * Fields that concern one connection only and that a proxy must not pass on (RFC 9110 §7.6.1; proxy contract §4.3): the
 * Connection field, all it names, and the ones it should have named.
 */
import { type FieldList, fieldValue } from '@weft/bytes';

/**
 * `fields` without connection, what it lists, keep-alive, proxy-connection, upgrade, http2-settings, transfer-encoding, and
 * te unless it says `trailers`. Names are lower-case. The same array comes back where nothing had to go.
 *
 * Host and Content-Length stay even if listed: they are for all recipients, and to drop them would change what the message
 * is (RFC 9110 §7.6.1 forbids listing such fields).
 */
export function stripHopByHop<Fields extends Readonly<FieldList>>(fields: Fields): Fields | FieldList {
  const options = connectionOptions(fields);
  let kept: FieldList | undefined;
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string;
    const value = fields[i + 1] as string;
    if (isHopByHop(name, value) || (options !== undefined && isListed(options, name))) {
      kept ??= fields.slice(0, i);
    } else if (kept !== undefined) {
      kept.push(name, value);
    }
  }
  return kept ?? fields;
}

function isHopByHop(name: string, value: string): boolean {
  // Most names leave at their length, which is cheaper than comparing them with seven others.
  switch (name.length) {
    case 2:
      return name === 'te' && value.toLowerCase() !== 'trailers';
    case 7:
      return name === 'upgrade';
    case 10:
      return name === 'connection' || name === 'keep-alive';
    case 14:
      return name === 'http2-settings';
    case 16:
      return name === 'proxy-connection';
    case 17:
      return name === 'transfer-encoding';
    default:
      return false;
  }
}

function isListed(options: readonly string[], name: string): boolean {
  return name !== 'host' && name !== 'content-length' && name !== 'te' && options.includes(name);
}

/** All connection options in lower case; undefined where they name no field. */
function connectionOptions(fields: Readonly<FieldList>): string[] | undefined {
  const first = fieldValue(fields, 'connection');
  if (first === undefined) return undefined;
  const options: string[] = [];
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== 'connection') continue;
    for (const option of (fields[i + 1] as string).toLowerCase().split(',')) {
      const name = option.trim();
      if (name !== 'close' && name !== 'keep-alive' && name !== 'upgrade' && name !== '') options.push(name);
    }
  }
  return options.length === 0 ? undefined : options;
}
