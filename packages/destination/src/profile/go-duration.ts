// SPDX-License-Identifier: Apache-2.0
/* Durations of ServiceProfiles, timeouts and budgets (control-contract §1.8, §4.6), as the messages of the API hold them. */
import { create } from '@bufbuild/protobuf';
import { DurationSchema, type Duration } from '@bufbuild/protobuf/wkt';
import { goDurationNs } from '@weft/kube-text';

/** Parses a duration as Go writes it; undefined when the text is none. */
export function parseGoDuration(text: string): Duration | undefined {
  const ns = goDurationNs(text);
  return ns === undefined ? undefined : create(DurationSchema, { seconds: ns / 1_000_000_000n, nanos: Number(ns % 1_000_000_000n) });
}
