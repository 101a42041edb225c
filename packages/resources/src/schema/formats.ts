// SPDX-License-Identifier: Apache-2.0
/*
 * The string formats that an API server checks in schemas, as far as our definitions use them; any other format is not checked, as there.
 * Source: apiextensions/v1 JSONSchemaProps, `format`.
 */
import { isIP } from 'node:net';

import { isDnsSubdomain } from '../store/metadata-rules.ts';

const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

function isCidr(text: string): boolean {
  const [address = '', length, ...rest] = text.split('/');
  const family = isIP(address);
  if (family === 0 || length === undefined || rest.length > 0 || !/^\d{1,3}$/.test(length)) return false;
  return Number(length) <= (family === 4 ? 32 : 128);
}

/** Whether `text` has `format`; true for a format that is not known. */
export function hasFormat(format: string, text: string): boolean {
  switch (format) {
    case 'date-time':
      return DATE_TIME.test(text) && !Number.isNaN(Date.parse(text));
    case 'ipv4':
      return isIP(text) === 4;
    case 'ipv6':
      return isIP(text) === 6;
    case 'cidr':
      return isCidr(text);
    case 'hostname':
      return isDnsSubdomain(text.toLowerCase());
    case 'uuid':
      return UUID.test(text);
    case 'byte':
      return text.length % 4 === 0 && BASE64.test(text);
    default:
      return true;
  }
}
