// SPDX-License-Identifier: Apache-2.0
/*
 * A parsed template: the nodes of Go's text/template that our subset has.
 */

/** A pipeline: optional variables, then commands, each given the result of the one before as its last argument. */
export interface Pipeline {
  readonly line: number;
  /** Names with `$`; two only in `range`. */
  readonly variables: readonly string[];
  /** Whether the variables are declared (`:=`) or set (`=`). */
  readonly isDeclaration: boolean;
  readonly commands: readonly Command[];
}

/** A call of a function, or one operand alone. */
export interface Command {
  readonly line: number;
  readonly operands: readonly Operand[];
}

/** A word of a command. */
export type Operand =
  | { readonly kind: 'function'; readonly name: string; readonly line: number }
  | { readonly kind: 'literal'; readonly value: string | bigint | boolean | null; readonly line: number }
  /** Fields of dot ('.'), a variable (its name with $) or a parenthesised pipeline; no fields is the thing itself. */
  | { readonly kind: 'fields'; readonly of: string | Pipeline; readonly path: readonly string[]; readonly line: number };

/** A node of a template's body. */
export type Node =
  | { readonly kind: 'text'; readonly text: string; readonly line: number }
  | { readonly kind: 'output'; readonly pipeline: Pipeline; readonly line: number }
  | {
      readonly kind: 'if' | 'with' | 'range';
      readonly pipeline: Pipeline;
      readonly body: readonly Node[];
      readonly otherwise: readonly Node[];
      readonly line: number;
    }
  | { readonly kind: 'template'; readonly name: string; readonly pipeline: Pipeline | undefined; readonly line: number };

/** A named template: a file, or a `define` in one. */
export interface Template {
  readonly name: string;
  readonly file: string;
  readonly line: number;
  readonly body: readonly Node[];
}
