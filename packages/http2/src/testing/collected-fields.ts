// SPDX-License-Identifier: Apache-2.0
/*
 * A receiver of decoded fields that keeps them as a flat list, for tests of HPACK alone.
 */
import type { FieldList } from '@weft/bytes';
import type { FieldReceiver } from '../hpack/decoder.ts';

/** Keeps what a decoder reports. */
export class CollectedFields implements FieldReceiver {
  readonly fields: FieldList = [];
  skippedCount = 0;

  onField(name: string, value: string): void {
    this.fields.push(name, value);
  }

  onFieldSkipped(): void {
    this.skippedCount++;
  }
}
