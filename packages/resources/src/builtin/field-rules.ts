// SPDX-License-Identifier: Apache-2.0
/*
 * Small rules that the built-in kinds share: ports, protocols, addresses, and filling in defaults. Messages are those of an API server.
 */
import { isIP } from 'node:net';

import type { FieldError } from '../errors.ts';
import { isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { required } from '../store/metadata-rules.ts';

const PROTOCOLS = ['SCTP', 'TCP', 'UDP'];
const PORT_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** Longest name of a port (IANA service name, RFC 6335 §5.1). */
const MAX_PORT_NAME_BYTES = 15;

/** Sets the fields that are missing or null. */
export function fill(target: JsonObject, defaults: JsonObject): void {
  for (const [key, value] of Object.entries(defaults)) target[key] ??= value;
}

/** The objects of a list; anything else counts as an empty list. */
export function entries(list: unknown): JsonObject[] {
  return Array.isArray(list) ? list.filter((item) => isJsonObject(item)) : [];
}

/** ` Invalid value` at `path`. */
export function invalidValue(path: string, value: unknown, text: string): FieldError {
  return { path, reason: 'FieldValueInvalid', message: `Invalid value: ${JSON.stringify(value)}: ${text}` };
}

/** What is wrong with a port number that must be there. */
export function portErrors(path: string, port: unknown): readonly FieldError[] {
  if (port === undefined || port === null) return [required(path)];
  const isPort = typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65535;
  return isPort ? [] : [invalidValue(path, port, 'must be between 1 and 65535, inclusive')];
}

/** What is wrong with the name of a container's port. */
export function portNameErrors(path: string, name: unknown): readonly FieldError[] {
  if (typeof name !== 'string') return [invalidValue(path, name, 'must be of type string')];
  if (name.length > MAX_PORT_NAME_BYTES) return [invalidValue(path, name, `must be no more than ${MAX_PORT_NAME_BYTES} characters`)];
  if (!PORT_NAME.test(name) || name.includes('--')) {
    return [invalidValue(path, name, "must contain only alphanumeric characters (a-z, 0-9), and hyphens ('-'), not doubled or at an end")];
  }
  return /[a-z]/.test(name) ? [] : [invalidValue(path, name, 'must contain at least one letter (a-z)')];
}

/** What is wrong with a transport protocol. */
export function protocolErrors(path: string, protocol: unknown): readonly FieldError[] {
  if (typeof protocol === 'string' && PROTOCOLS.includes(protocol)) return [];
  const names = PROTOCOLS.map((name) => JSON.stringify(name)).join(', ');
  return [
    { path, reason: 'FieldValueNotSupported', message: `Unsupported value: ${JSON.stringify(protocol)}: supported values: ${names}` },
  ];
}

/** Whether `text` is an IP address of either family. */
export function isIpAddress(text: unknown): text is string {
  return typeof text === 'string' && isIP(text) !== 0;
}
