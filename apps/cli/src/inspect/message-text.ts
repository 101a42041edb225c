// SPDX-License-Identifier: Apache-2.0
/* Messages of the control plane as text, with the field names of their .proto files (features CLI-33, CLI-34). */
import { toJson, type DescMessage, type MessageShape } from '@bufbuild/protobuf';
import { stringify } from 'yaml';

export type MessageFormat = 'yaml' | 'json';

/** The whole message, ending in a line break. */
export function messageText<D extends DescMessage>(schema: D, message: MessageShape<D>, format: MessageFormat): string {
  const value = toJson(schema, message, { useProtoFieldName: true });
  return format === 'json' ? `${JSON.stringify(value, undefined, 2)}\n` : stringify(value);
}
