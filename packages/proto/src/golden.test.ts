// SPDX-License-Identifier: Apache-2.0
/*
 * Golden bytes of every field of every contract, derived from the field numbers and wire types of proxy-contract §5.7 alone (not from the
 * .proto files); `npm run golden` checks the same files with another protobuf implementation.
 */
import { Buffer } from 'node:buffer';
import { readFileSync, readdirSync } from 'node:fs';
import { type DescField, type DescFile, type DescMessage, create, createRegistry, fromBinary, toBinary } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { describe, expect, it } from 'vitest';
import * as contracts from './index.ts';
import { type VectorJson, toVectorJson, vectorDifference } from './testing/index.ts';

interface GoldenCase {
  readonly type: string;
  /** Spaces stand between the top-level fields. */
  readonly hex: string;
  readonly json: VectorJson;
}

const directory = new URL('testdata/golden/', import.meta.url);

const files: DescFile[] = Object.values(contracts).flatMap((namespace) =>
  Object.values(namespace as Record<string, unknown>).filter((value): value is DescFile => (value as { kind?: unknown }).kind === 'file'),
);
const registry = createRegistry(...files);

const cases: GoldenCase[] = readdirSync(directory).flatMap(
  (name) => JSON.parse(readFileSync(new URL(name, directory), 'utf8')) as GoldenCase[],
);

function schemaOf(type: string): DescMessage {
  const schema = registry.getMessage(type);
  if (schema === undefined) throw new Error(`${type} is not a message of the contracts`);
  return schema;
}

/** Adds every field that is set in `message` or below. */
function collectFields(message: ReflectMessage, seen: Set<DescField>): void {
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    seen.add(field);
    if (field.fieldKind === 'message') collectFields(message.get(field), seen);
    if (field.fieldKind === 'list' && field.listKind === 'message') {
      for (const item of message.get(field)) collectFields(item as ReflectMessage, seen);
    }
  }
}

function messagesOf(parent: DescFile | DescMessage): DescMessage[] {
  const messages = parent.kind === 'file' ? parent.messages : parent.nestedMessages;
  return messages.flatMap((message) => [message, ...messagesOf(message)]);
}

describe('golden bytes', () => {
  it.each(cases.map(({ type, hex, json }, i) => [`${i} ${type}`, type, hex, json] as const))('%s', (_, type, hex, json) => {
    const schema = schemaOf(type);
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    const message = fromBinary(schema, bytes);
    expect(vectorDifference(toVectorJson(schema, message), json)).toBeUndefined();
    expect(Buffer.from(toBinary(schema, message)).toString('hex')).toBe(bytes.toString('hex'));
  });

  it('cover every field of every message', () => {
    const seen = new Set<DescField>();
    for (const { type, hex } of cases) {
      const schema = schemaOf(type);
      collectFields(reflect(schema, fromBinary(schema, Buffer.from(hex.replaceAll(' ', ''), 'hex'))), seen);
    }
    const missing = files
      .flatMap((file) => messagesOf(file))
      .flatMap((message) => message.fields)
      .filter((field) => !seen.has(field))
      .map((field) => `${field.parent.typeName}.${field.name}`);
    expect(files.length).toBe(18);
    expect(missing).toEqual([]);
  });

  it('keep fields that this version does not know', () => {
    const { IPAddressSchema } = contracts.net;
    const bytes = Buffer.from('0d0100000a8296180161', 'hex');
    expect(Buffer.from(toBinary(IPAddressSchema, fromBinary(IPAddressSchema, bytes))).toString('hex')).toBe(bytes.toString('hex'));
  });

  it.each(['0d01', '1203', '12ff', '0a', '0b', 'ffffffffffffffffffff01'])('refuse the broken bytes %s by an error', (hex) => {
    expect(() => fromBinary(contracts.net.IPAddressSchema, Buffer.from(hex, 'hex'))).toThrow(Error);
  });
});

describe('service names', () => {
  it.each([
    [contracts.identity.Identity, 'io.linkerd.proxy.identity.Identity', ['Certify unary']],
    [
      contracts.destination.Destination,
      'io.linkerd.proxy.destination.Destination',
      ['Get server_streaming', 'GetProfile server_streaming'],
    ],
    [
      contracts.inbound.InboundServerPolicies,
      'io.linkerd.proxy.inbound.InboundServerPolicies',
      ['GetPort unary', 'WatchPort server_streaming'],
    ],
    [contracts.outbound.OutboundPolicies, 'io.linkerd.proxy.outbound.OutboundPolicies', ['Get unary', 'Watch server_streaming']],
    [contracts.tap.Tap, 'io.linkerd.proxy.tap.Tap', ['Observe server_streaming']],
    [contracts.trustBundle.TrustBundle, 'weft.identity.v1.TrustBundle', ['Watch server_streaming']],
  ] as const)('%s', (service, typeName, methods) => {
    expect(service.typeName).toBe(typeName);
    expect(service.methods.map((method) => `${method.name} ${method.methodKind}`)).toEqual(methods);
  });
});

describe('toVectorJson', () => {
  it('shows a float as the double that its four bytes mean, before and after encoding', () => {
    const { RetryBudgetSchema } = contracts.destination;
    const budget = create(RetryBudgetSchema, { retryRatio: 0.2 });
    expect(toVectorJson(RetryBudgetSchema, budget)).toEqual({ retry_ratio: 0.20000000298023224 });
  });

  it('shows an enum number that it does not know as a number', () => {
    const { HttpMethodSchema } = contracts.httpTypes;
    expect(toVectorJson(HttpMethodSchema, fromBinary(HttpMethodSchema, Buffer.from('0863', 'hex')))).toEqual({ registered: 99 });
  });
});
