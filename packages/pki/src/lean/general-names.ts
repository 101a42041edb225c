// SPDX-License-Identifier: Apache-2.0
/*
 * GeneralNames (RFC 5280 §4.2.1.6), the value of a subject alternative name extension, read strictly. Names are kept as written;
 * comparison rules belong to the callers. A name with a byte outside printable ASCII is malformed: a NUL or a line break in an
 * identity must never reach a comparison, a header or a log.
 */
import type { DerReader } from './der-reader.ts';
import { DER_SEQUENCE } from './der-reader.ts';
import { readLatin1 } from './object-identifiers.ts';

/** Names by kind, each in order. */
export interface GeneralNames {
  readonly dns: string[];
  readonly uris: string[];
  readonly emails: string[];
  /** iPAddress entries, raw octets. */
  readonly ips: Uint8Array[];
  /** Count of the other kinds (otherName, directoryName, …), which no mesh identity uses. */
  otherCount: number;
  /** DNS names and URIs in the order in which they stand: the first is the peer's identity (proxy-contract §3.1). */
  readonly identities: string[];
}

/** More names than this in one certificate or request is refused. */
export const MAX_GENERAL_NAMES = 64;

/** Reads a GeneralNames value; mistakes are recorded in the reader. */
export function readGeneralNames(reader: DerReader): GeneralNames {
  const names: GeneralNames = { dns: [], uris: [], emails: [], ips: [], otherCount: 0, identities: [] };
  const entries = reader.enter(DER_SEQUENCE);
  let count = 0;
  while (!entries.isAtEnd) {
    if (++count > MAX_GENERAL_NAMES) {
      entries.fail(`more than ${MAX_GENERAL_NAMES} subject alternative names`);
      break;
    }
    const tag = entries.peekTag();
    const contents = entries.read(tag);
    switch (tag) {
      case 0x81:
        names.emails.push(readName(entries, contents));
        break;
      case 0x82:
        names.dns.push(readName(entries, contents));
        names.identities.push(names.dns.at(-1) ?? '');
        break;
      case 0x86:
        names.uris.push(readName(entries, contents));
        names.identities.push(names.uris.at(-1) ?? '');
        break;
      case 0x87:
        if (contents.length !== 4 && contents.length !== 16) entries.fail('cannot parse IP address');
        names.ips.push(contents);
        break;
      case 0x88:
      case 0xa0:
      case 0xa3:
      case 0xa4:
      case 0xa5:
        names.otherCount += 1;
        break;
      default:
        entries.fail('unknown kind of subject alternative name');
    }
  }
  return names;
}

function readName(reader: DerReader, contents: Uint8Array): string {
  if (contents.length === 0) reader.fail('empty subject alternative name');
  for (const octet of contents) {
    if (octet < 0x21 || octet > 0x7e) {
      reader.fail('subject alternative name holds a character outside printable ASCII');
      return '';
    }
  }
  return readLatin1(contents);
}
