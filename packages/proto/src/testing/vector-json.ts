// SPDX-License-Identifier: Apache-2.0
/*
 * Messages in the JSON of our captured vectors, which differs from protobuf's own JSON mapping: field names as in the .proto
 * file, only fields that are on the wire, no special form for well-known types ({"seconds": "10"} instead of "10s"). Built on
 * reflection, so that it knows no message by name.
 */
import { Buffer } from 'node:buffer';
import { type DescEnum, type DescMessage, type MessageShape, ScalarType } from '@bufbuild/protobuf';
import { type ReflectMessage, type ScalarValue, reflect } from '@bufbuild/protobuf/reflect';

/** JSON value of a vector file. */
export type VectorJson = string | number | boolean | VectorJson[] | { [name: string]: VectorJson };

/**
 * `message` as a vector file has it: 64-bit integers as decimal strings, bytes as base64, enums by name (unknown numbers as numbers), floats
 * as the double that the wire's four bytes mean, present but empty messages as `{}`.
 */
export function toVectorJson<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): VectorJson {
  return messageJson(reflect(schema, message));
}

function messageJson(message: ReflectMessage): VectorJson {
  const json: { [name: string]: VectorJson } = {};
  for (const field of message.fields) {
    if (!message.isSet(field)) continue;
    switch (field.fieldKind) {
      case 'message':
        json[field.name] = messageJson(message.get(field));
        break;
      case 'scalar':
        json[field.name] = scalarJson(message.get(field), field.scalar);
        break;
      case 'enum':
        json[field.name] = enumJson(message.get(field), field.enum);
        break;
      case 'list': {
        const items: VectorJson[] = [];
        for (const item of message.get(field)) {
          if (field.listKind === 'message') items.push(messageJson(item as ReflectMessage));
          else if (field.listKind === 'enum') items.push(enumJson(item as number, field.enum));
          else items.push(scalarJson(item as ScalarValue, field.scalar));
        }
        json[field.name] = items;
        break;
      }
      case 'map': {
        const entries: { [name: string]: VectorJson } = {};
        for (const [key, value] of message.get(field)) {
          if (field.mapKind === 'message') entries[String(key)] = messageJson(value as ReflectMessage);
          else if (field.mapKind === 'enum') entries[String(key)] = enumJson(value as number, field.enum);
          else entries[String(key)] = scalarJson(value as ScalarValue, field.scalar);
        }
        json[field.name] = entries;
        break;
      }
    }
  }
  return json;
}

function scalarJson(value: ScalarValue, type: ScalarType): VectorJson {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (typeof value === 'number' && type === ScalarType.FLOAT) return Math.fround(value);
  return value;
}

function enumJson(value: number, type: DescEnum): VectorJson {
  return type.value[value]?.name ?? value;
}
