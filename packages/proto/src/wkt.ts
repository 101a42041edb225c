// SPDX-License-Identifier: Apache-2.0
/*
 * The well-known types that the contracts use, and their conversions to milliseconds, which is how the rest of Weft counts time.
 */
export {
  type Duration,
  DurationSchema,
  type Timestamp,
  TimestampSchema,
  durationFromMs,
  durationMs,
  timestampFromDate,
  timestampDate,
  timestampFromMs,
  timestampMs,
} from '@bufbuild/protobuf/wkt';
