// SPDX-License-Identifier: Apache-2.0
/*
 * Profiles in the form that `go tool pprof` and flame-graph viewers read (proxy-contract §2.6, `/debug/pprof/profile.pb.gz`): the message
 * perftools.profiles.Profile of profile.proto, written by hand because the proxy must not carry generated code for what is off by default.
 */
import { Buffer } from 'node:buffer';

/** One frame of a stack. `line` counts from 1; 0 = unknown. */
export interface ProfileFrame {
  readonly functionName: string;
  readonly url: string;
  readonly line: number;
}

/** Values of one stack, leaf first. */
export interface ProfileSample {
  readonly frames: readonly ProfileFrame[];
  /** As many as there are sample types. */
  readonly values: readonly number[];
}

export interface ProfileData {
  /** Type and unit of each value: `['cpu', 'nanoseconds']`. */
  readonly sampleTypes: readonly (readonly [string, string])[];
  readonly samples: readonly ProfileSample[];
  readonly startMs: number;
  readonly durationMs: number;
  /** Mean distance of samples, in the unit of the last sample type. */
  readonly period: number;
}

/** The message, not compressed. */
export function encodePprof(profile: ProfileData): Buffer {
  const strings = new Table<string>((text) => text);
  strings.index('');
  const functions = new Table<ProfileFrame>((frame) => `${frame.functionName}\n${frame.url}`);
  const locations = new Table<ProfileFrame>((frame) => `${frame.functionName}\n${frame.url}\n${frame.line}`);
  const out = new Message();
  for (const [type, unit] of profile.sampleTypes) out.message(1, valueType(strings, type, unit));
  for (const { frames, values } of profile.samples) {
    const sample = new Message();
    sample.packed(
      1,
      frames.map((frame) => locations.index(frame) + 1),
    );
    sample.packed(2, values);
    out.message(2, sample);
  }
  for (const [index, frame] of locations.values.entries()) {
    const line = new Message().number(1, functions.index(frame) + 1).number(2, frame.line);
    out.message(4, new Message().number(1, index + 1).message(4, line));
  }
  for (const [index, frame] of functions.values.entries()) {
    const name = strings.index(frame.functionName === '' ? '(anonymous)' : frame.functionName);
    out.message(
      5,
      new Message()
        .number(1, index + 1)
        .number(2, name)
        .number(3, name)
        .number(4, strings.index(frame.url)),
    );
  }
  const [type, unit] = profile.sampleTypes.at(-1) ?? ['', ''];
  const period = valueType(strings, type, unit);
  for (const text of strings.values) out.bytes(6, Buffer.from(text, 'utf8'));
  return out
    .number(9, Math.round(profile.startMs * 1e6))
    .number(10, Math.round(profile.durationMs * 1e6))
    .message(11, period)
    .number(12, profile.period)
    .finish();
}

function valueType(strings: Table<string>, type: string, unit: string): Message {
  return new Message().number(1, strings.index(type)).number(2, strings.index(unit));
}

/** Values by order of appearance, each once. */
class Table<T> {
  readonly values: T[] = [];
  private readonly keyOf: (value: T) => string;
  private readonly indices = new Map<string, number>();

  constructor(keyOf: (value: T) => string) {
    this.keyOf = keyOf;
  }

  index(value: T): number {
    const key = this.keyOf(value);
    const known = this.indices.get(key);
    if (known !== undefined) return known;
    this.indices.set(key, this.values.length);
    return this.values.push(value) - 1;
  }
}

/** A protobuf message under construction. Numbers are whole and not negative. */
class Message {
  private readonly parts: Buffer[] = [];

  number(field: number, value: number): this {
    if (value !== 0) this.parts.push(varint(field * 8), varint(value));
    return this;
  }

  bytes(field: number, bytes: Uint8Array): this {
    this.parts.push(varint(field * 8 + 2), varint(bytes.length), Buffer.from(bytes));
    return this;
  }

  message(field: number, message: Message): this {
    return this.bytes(field, message.finish());
  }

  packed(field: number, values: readonly number[]): this {
    return this.bytes(field, Buffer.concat(values.map((value) => varint(value))));
  }

  finish(): Buffer {
    return Buffer.concat(this.parts);
  }
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(Math.max(0, Math.round(value)));
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
