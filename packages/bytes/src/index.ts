// SPDX-License-Identifier: Apache-2.0
export { ByteWriter, type BufferSource, heapBuffers } from './byte-writer.ts';
export { ByteQueue } from './byte-queue.ts';
export { type FieldList, fieldValue, hasField } from './field-list.ts';
