// SPDX-License-Identifier: Apache-2.0
/*
 * The contracts against calls captured from the reference: every byte of every message is understood, and survives a round trip.
 */
import { Buffer } from 'node:buffer';
import { readFileSync, readdirSync } from 'node:fs';
import { type DescMessage, fromBinary, toBinary } from '@bufbuild/protobuf';
import { describe, expect, it } from 'vitest';
import { destination, identity, inbound, outbound } from './index.ts';
import { type VectorJson, toVectorJson, vectorDifference } from './testing/index.ts';

interface VectorRequest {
  readonly method: string;
  readonly message: VectorJson;
  readonly message_hex: string;
}

interface VectorResponse {
  readonly messages: VectorJson[];
}

const directory = new URL('testdata/vectors/control/', import.meta.url);
const certified = new URL('testdata/vectors/identity/ok.json', import.meta.url);

const methods = new Map<string, { readonly input: DescMessage; readonly output: DescMessage }>(
  [destination.Destination, inbound.InboundServerPolicies, outbound.OutboundPolicies].flatMap((service) =>
    service.methods.map((method) => [`${service.typeName}/${method.name}`, method] as const),
  ),
);

function read(name: string, file: string): unknown {
  return JSON.parse(readFileSync(new URL(`${name}/${file}`, directory), 'utf8'));
}

/** One message a line; an empty message is an empty line, so only the note lines and the end of the file are dropped. */
function readHex(name: string): Buffer[] {
  const lines = readFileSync(new URL(`${name}/response.hex`, directory), 'utf8').split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines.filter((line) => !line.startsWith('#')).map((line) => Buffer.from(line, 'hex'));
}

/** Requests of vectors were written by hand: they name default values, and some are on the wire. */
function withoutDefaults(value: VectorJson): VectorJson {
  if (typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== '' && item !== 0)
      .map(([key, item]) => [key, withoutDefaults(item)]),
  );
}

function expectRoundTrip(schema: DescMessage, bytes: Buffer, json: VectorJson, normalize: (value: VectorJson) => VectorJson): void {
  const message = fromBinary(schema, bytes);
  expect(vectorDifference(normalize(toVectorJson(schema, message)), normalize(json))).toBeUndefined();
  expect(JSON.stringify(message, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value))).not.toContain('$unknown');
  const encoded = toBinary(schema, message);
  expect(vectorDifference(normalize(toVectorJson(schema, fromBinary(schema, encoded))), normalize(json))).toBeUndefined();
}

describe('calls captured from the reference', () => {
  it.each(readdirSync(directory))('%s', (name) => {
    const request = read(name, 'request.json') as VectorRequest;
    const response = read(name, 'response.json') as VectorResponse;
    const method = methods.get(request.method);
    if (method === undefined) throw new Error(`${request.method} is not a method of the contracts`);
    expectRoundTrip(method.input, Buffer.from(request.message_hex, 'hex'), request.message, withoutDefaults);
    const messages = readHex(name);
    expect(messages.length).toBe(response.messages.length);
    for (const [i, bytes] of messages.entries()) expectRoundTrip(method.output, bytes, response.messages[i], (value) => value);
  });

  it('identity: a certificate as it was issued', () => {
    const { response, response_message_hex: hex } = JSON.parse(readFileSync(certified, 'utf8')) as {
      readonly response: {
        readonly leaf_certificate_hex: string;
        readonly intermediate_certificates_hex: readonly string[];
        readonly valid_until: VectorJson;
      };
      readonly response_message_hex: string;
    };
    const base64 = (text: string): string => Buffer.from(text, 'hex').toString('base64');
    const json = {
      leaf_certificate: base64(response.leaf_certificate_hex),
      intermediate_certificates: response.intermediate_certificates_hex.map(base64),
      valid_until: response.valid_until,
    };
    const bytes = Buffer.from(hex, 'hex');
    expectRoundTrip(identity.CertifyResponseSchema, bytes, json, (value) => value);
    expect(Buffer.from(toBinary(identity.CertifyResponseSchema, fromBinary(identity.CertifyResponseSchema, bytes)))).toEqual(bytes);
  });
});
