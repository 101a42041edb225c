// SPDX-License-Identifier: Apache-2.0
/*
 * A place in an object under review. Reading through it never throws, whatever is there: a value of the wrong type is reported with its path
 * and read as absent. As in the reference's decoders, null counts as absent and unknown fields are passed over.
 */
import { type Findings, quote } from './findings.ts';

const ABSENT: readonly Field[] = [];

/** One value and its path, such as `spec.rules[0].matches`. */
export class Field {
  readonly value: unknown;
  readonly path: string;
  readonly findings: Findings;

  constructor(value: unknown, path: string, findings: Findings) {
    this.value = value;
    this.path = path;
    this.findings = findings;
  }

  /** Whether there is anything but null. */
  get isSet(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** A field of this object; absent where this is no object. */
  get(name: string): Field {
    const path = this.path === '' ? name : `${this.path}.${name}`;
    const value = isObject(this.value) && Object.hasOwn(this.value, name) ? this.value[name] : undefined;
    return new Field(this.findings.spend(path) ? value : undefined, path, this.findings);
  }

  /** Whether this is an object; anything else that is set is a fault. */
  isObject(): boolean {
    if (isObject(this.value)) return true;
    if (this.isSet) this.findings.shape(this.path, `must be an object, not ${typeName(this.value)}`);
    return false;
  }

  /** Whether this is an object; a fault where it is not, or is absent. */
  isRequiredObject(): boolean {
    if (!this.isSet) this.findings.shape(this.path, 'is required');
    return this.isObject();
  }

  /** The names of this object's fields. */
  names(): readonly string[] {
    return isObject(this.value) ? Object.keys(this.value) : [];
  }

  /** The items of this list. Entries that are null are reported. */
  items(): readonly Field[] {
    if (!this.isSet) return ABSENT;
    if (!Array.isArray(this.value)) {
      this.findings.shape(this.path, `must be a list, not ${typeName(this.value)}`);
      return ABSENT;
    }
    const fields: Field[] = [];
    for (const [index, value] of this.value.entries()) {
      const path = `${this.path}[${index}]`;
      if (!this.findings.spend(path)) break;
      if (value === null) this.findings.shape(path, 'must not be null; remove the entry');
      else fields.push(new Field(value, path, this.findings));
    }
    return fields;
  }

  text(): string | undefined {
    if (typeof this.value === 'string') return this.value;
    if (this.isSet) this.findings.shape(this.path, `must be a string, not ${typeName(this.value)}`);
    return undefined;
  }

  /** The text; a fault where it is absent or empty. */
  requiredText(): string | undefined {
    const text = this.text();
    if (text === '' || !this.isSet) this.findings.shape(this.path, 'is required');
    return text === '' ? undefined : text;
  }

  boolean(): boolean | undefined {
    if (typeof this.value === 'boolean') return this.value;
    if (this.isSet) this.findings.shape(this.path, `must be true or false, not ${typeName(this.value)}`);
    return undefined;
  }

  /** A whole number from `min` to `max`. */
  integer(min: number, max: number): number | undefined {
    const { value } = this;
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
    if (this.isSet) {
      const given = typeof value === 'number' ? String(value) : typeName(value);
      this.findings.shape(this.path, `must be a whole number from ${min} to ${max}, not ${given}`);
    }
    return undefined;
  }

  /** A rule is broken here: the reason, and what to write instead. */
  refuse(reason: string): void {
    this.findings.rule(this.path, reason);
  }

  warn(reason: string): void {
    this.findings.warn(this.path, reason);
  }

  /** Every field that is none of `known` is a fault. */
  refuseUnknown(known: readonly string[]): void {
    for (const name of this.names()) {
      if (!known.includes(name)) this.findings.shape(this.path, `unknown field ${quote(name)}; known are ${known.join(', ')}`);
    }
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeName(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  return typeof value === 'string' ? 'a string' : `a ${typeof value}`;
}
