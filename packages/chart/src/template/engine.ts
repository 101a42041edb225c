// SPDX-License-Identifier: Apache-2.0
/*
 * Runs parsed templates, as Go's text/template does with Helm's settings: a missing key is nothing and prints nothing, but a field of
 * nothing is an error. Every error carries the file and line of the action that failed.
 */
import { ChartError } from '../errors.ts';
import { FUNCTIONS } from '../functions/table.ts';
import type { FunctionContext } from '../functions/types.ts';
import { type Data, DataError, isDictionary, isTrue, kindOf, printed, sortedKeys } from './data.ts';
import { parseTemplate } from './parser.ts';
import type { Command, Node, Operand, Pipeline, Template } from './syntax.ts';

/** Templates that include each other. */
const MAX_INCLUDE_DEPTH = 100;
/** Text that one file may grow to, in UTF-16 code units. */
const MAX_OUTPUT_UNITS = 64 * 1024 * 1024;

/** What the methods of the top context answer from. */
export interface EngineSources {
  /** `.Files.Get`: the text of a file of the chart, '' where there is none. */
  readonly file: (path: string) => string;
  /** `.Capabilities.APIVersions.Has`. */
  readonly hasApiVersion: (version: string) => boolean;
}

/** A set of templates that can be run by name. */
export class Engine implements FunctionContext {
  private readonly templates: ReadonlyMap<string, Template>;
  private readonly sources: EngineSources;
  private depth = 0;
  private textCount = 0;

  constructor(templates: ReadonlyMap<string, Template>, sources: EngineSources) {
    this.templates = templates;
    this.sources = sources;
  }

  file(path: string): string {
    return this.sources.file(path);
  }

  hasApiVersion(version: string): boolean {
    return this.sources.hasApiVersion(version);
  }

  include(name: string, dot: Data): string {
    const template = this.templates.get(name);
    if (template === undefined) throw new DataError(`there is no template ${JSON.stringify(name)}`);
    return this.run(template, dot);
  }

  renderText(source: string, dot: Data): string {
    this.textCount += 1;
    const name = `tpl-${this.textCount}`;
    const [template, defined] = parseTemplate('tpl', name, source);
    if (template === undefined || defined !== undefined) throw new DataError('tpl: a text defines no templates');
    checkFunctions(template);
    return this.run(template, dot);
  }

  private run(template: Template, dot: Data): string {
    this.depth += 1;
    if (this.depth > MAX_INCLUDE_DEPTH) {
      throw new ChartError('ERR_CHART_LIMIT', `more than ${MAX_INCLUDE_DEPTH} templates include each other`, template);
    }
    try {
      const run = new Run(template.file, this);
      run.nodes(template.body, dot, new Scope(undefined, { $: dot }));
      return run.output.join('');
    } finally {
      this.depth -= 1;
    }
  }
}

/** Refuses functions outside the subset, and wrong numbers of arguments where they can be seen; throws `ERR_CHART_FUNCTION`. */
export function checkFunctions(template: Template): void {
  const checkPipeline = (pipeline: Pipeline): void => {
    pipeline.commands.forEach((command, index) => {
      for (const operand of command.operands) {
        if (operand.kind === 'fields' && typeof operand.of === 'object') checkPipeline(operand.of);
      }
      const [head, ...args] = command.operands;
      for (const operand of command.operands) {
        if (operand.kind !== 'function') continue;
        const found = FUNCTIONS.get(operand.name);
        if (found === undefined) {
          throw new ChartError('ERR_CHART_FUNCTION', `the function ${JSON.stringify(operand.name)} is outside the subset`, {
            file: template.file,
            line: operand.line,
          });
        }
        const given = operand === head ? args.length + (index > 0 ? 1 : 0) : 0;
        if (given < found.arity[0] || given > found.arity[1]) {
          throw new ChartError('ERR_CHART_FUNCTION', `${operand.name} takes ${arity(found.arity)}, not ${given}`, {
            file: template.file,
            line: operand.line,
          });
        }
      }
    });
  };
  const checkNodes = (nodes: readonly Node[]): void => {
    for (const node of nodes) {
      if (node.kind === 'text') continue;
      if (node.pipeline !== undefined) checkPipeline(node.pipeline);
      if (node.kind === 'if' || node.kind === 'with' || node.kind === 'range') {
        checkNodes(node.body);
        checkNodes(node.otherwise);
      }
    }
  };
  checkNodes(template.body);
}

function arity([least, most]: readonly [number, number]): string {
  if (least === most) return `${least} argument${least === 1 ? '' : 's'}`;
  return most === Infinity ? `${least} or more arguments` : `${least} to ${most} arguments`;
}

/** Variables of a block; inner blocks see outer ones. */
class Scope {
  private readonly outer: Scope | undefined;
  private readonly variables: Map<string, Data>;

  constructor(outer: Scope | undefined, variables: Record<string, Data> = {}) {
    this.outer = outer;
    this.variables = new Map(Object.entries(variables));
  }

  declare(name: string, value: Data): void {
    this.variables.set(name, value);
  }

  assign(name: string, value: Data): void {
    if (this.variables.has(name)) this.variables.set(name, value);
    else if (this.outer === undefined) throw new DataError(`the variable ${name} was not declared`);
    else this.outer.assign(name, value);
  }

  read(name: string): Data {
    const value = this.variables.get(name);
    if (value !== undefined) return value;
    if (this.outer === undefined) throw new DataError(`the variable ${name} was not declared`);
    return this.outer.read(name);
  }
}

type BlockNode = Extract<Node, { readonly body: readonly Node[] }>;

/** One run of one template. */
class Run {
  readonly output: string[] = [];
  private outputUnits = 0;
  private readonly file: string;
  private readonly engine: Engine;

  constructor(file: string, engine: Engine) {
    this.file = file;
    this.engine = engine;
  }

  nodes(nodes: readonly Node[], dot: Data, scope: Scope): void {
    for (const node of nodes) this.node(node, dot, scope);
  }

  private node(node: Node, dot: Data, scope: Scope): void {
    switch (node.kind) {
      case 'text':
        this.write(node.text, node.line);
        return;
      case 'output': {
        const value = this.pipeline(node.pipeline, dot, scope);
        if (node.pipeline.variables.length === 0)
          this.write(
            this.at(node.line, () => printed(value)),
            node.line,
          );
        return;
      }
      case 'template': {
        const argument = node.pipeline === undefined ? null : this.pipeline(node.pipeline, dot, scope);
        this.write(
          this.at(node.line, () => this.engine.include(node.name, argument)),
          node.line,
        );
        return;
      }
      case 'if':
      case 'with': {
        const inner = new Scope(scope);
        const value = this.pipeline(node.pipeline, dot, inner);
        const isTaken = this.at(node.line, () => isTrue(value));
        this.nodes(isTaken ? node.body : node.otherwise, isTaken && node.kind === 'with' ? value : dot, inner);
        return;
      }
      case 'range':
        this.range(node, dot, scope);
    }
  }

  private range(node: BlockNode, dot: Data, scope: Scope): void {
    const value = this.pipeline({ ...node.pipeline, variables: [] }, dot, scope);
    const entries = this.at(node.line, (): readonly (readonly [Data, Data])[] => {
      if (value === null) return [];
      if (Array.isArray(value)) return (value as readonly Data[]).map((item, index) => [BigInt(index), item]);
      if (isDictionary(value)) return sortedKeys(value).map((key) => [key, value[key] ?? null]);
      throw new DataError(`range needs a list or a map, not ${kindOf(value)}`);
    });
    if (entries.length === 0) {
      this.nodes(node.otherwise, dot, new Scope(scope));
      return;
    }
    const { variables, isDeclaration } = node.pipeline;
    for (const [key, item] of entries) {
      const inner = new Scope(scope);
      const bind = (name: string | undefined, bound: Data): void => {
        if (name === undefined) return;
        if (isDeclaration) inner.declare(name, bound);
        else this.at(node.line, () => scope.assign(name, bound));
      };
      if (variables.length === 2) bind(variables[0], key);
      bind(variables.length === 2 ? variables[1] : variables[0], item);
      this.nodes(node.body, item, inner);
    }
  }

  private write(text: string, line: number): void {
    this.outputUnits += text.length;
    if (this.outputUnits > MAX_OUTPUT_UNITS) {
      throw new ChartError('ERR_CHART_LIMIT', `the text grew beyond ${MAX_OUTPUT_UNITS} characters`, { file: this.file, line });
    }
    this.output.push(text);
  }

  private pipeline(pipeline: Pipeline, dot: Data, scope: Scope): Data {
    let value: Data = null;
    pipeline.commands.forEach((command, index) => {
      value = this.command(command, dot, scope, index === 0 ? undefined : [value]);
    });
    const [name] = pipeline.variables;
    if (name !== undefined) {
      if (pipeline.isDeclaration) scope.declare(name, value);
      else this.at(pipeline.line, () => scope.assign(name, value));
    }
    return value;
  }

  private command(command: Command, dot: Data, scope: Scope, last: readonly [Data] | undefined): Data {
    const [head, ...operands] = command.operands;
    if (head === undefined) return null;
    if (head.kind === 'function') {
      if (head.name === 'and' || head.name === 'or') return this.lazy(head.name, operands, dot, scope, last);
      return this.call(head, [...operands.map((operand) => this.operand(operand, dot, scope)), ...(last ?? [])]);
    }
    if (last !== undefined) return this.at(head.line, () => this.refuse('only a function takes the value of a pipe'));
    return this.operand(head, dot, scope);
  }

  private call(head: Extract<Operand, { kind: 'function' }>, args: readonly Data[]): Data {
    const found = FUNCTIONS.get(head.name);
    return this.at(head.line, () => {
      if (found === undefined) throw new DataError(`the function ${JSON.stringify(head.name)} is outside the subset`);
      if (args.length < found.arity[0] || args.length > found.arity[1]) {
        throw new DataError(`${head.name} takes ${arity(found.arity)}, not ${args.length}`);
      }
      return found.call(args, this.engine);
    });
  }

  private lazy(name: 'and' | 'or', operands: readonly Operand[], dot: Data, scope: Scope, last: readonly [Data] | undefined): Data {
    let value: Data = null;
    for (const operand of operands) {
      value = this.operand(operand, dot, scope);
      const isDecided = this.at(operand.line, () => isTrue(value)) === (name === 'or');
      if (isDecided) return value;
    }
    return last === undefined ? value : last[0];
  }

  private operand(operand: Operand, dot: Data, scope: Scope): Data {
    switch (operand.kind) {
      case 'literal':
        return operand.value;
      case 'function':
        return this.call(operand, []);
      case 'fields': {
        const { of } = operand;
        const start =
          of === '.' ? dot : typeof of === 'string' ? this.at(operand.line, () => scope.read(of)) : this.pipeline(of, dot, scope);
        return this.at(operand.line, () => fieldsOf(start, operand.path));
      }
    }
  }

  /** Adds this file and a line to what goes wrong inside. */
  private at<T>(line: number, action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (error instanceof DataError) throw new ChartError('ERR_CHART_TEMPLATE', error.message, { file: this.file, line });
      throw error;
    }
  }

  private refuse(message: string): never {
    throw new DataError(message);
  }
}

function fieldsOf(start: Data, path: readonly string[]): Data {
  let value = start;
  path.forEach((name, index) => {
    if (!isDictionary(value)) {
      const before = path.slice(0, index).join('.');
      throw new DataError(`.${path.join('.')}: there is no ${name} in ${kindOf(value)}${before === '' ? '' : ` (.${before})`}`);
    }
    value = Object.hasOwn(value, name) ? (value[name] ?? null) : null;
  });
  return value;
}
