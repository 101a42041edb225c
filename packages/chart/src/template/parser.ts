// SPDX-License-Identifier: Apache-2.0
/*
 * Parses one template file: its own body and the templates it defines. Statements outside the subset (break, continue, …) are refused
 * with file and line. The grammar is that of Go's text/template/parse.
 */
import { ChartError } from '../errors.ts';
import { lexTemplate, type Segment, type Token } from './lexer.ts';
import type { Command, Node, Operand, Pipeline, Template } from './syntax.ts';

/** Blocks inside blocks, and parentheses inside parentheses. */
const MAX_DEPTH = 100;

/** Methods of the top context that the subset has, by the end of their path: parsed as functions. */
const METHODS = ['Files.Get', 'APIVersions.Has'] as const;

/** Parses a file into its own template (named by `name`) and those it defines; throws `ERR_CHART_SYNTAX`. */
export function parseTemplate(file: string, name: string, source: string): Template[] {
  return new Parser(file, lexTemplate(file, source)).parse(name);
}

class Parser {
  private readonly file: string;
  private readonly segments: readonly Segment[];
  private next = 0;
  private readonly defined: Template[] = [];

  constructor(file: string, segments: readonly Segment[]) {
    this.file = file;
    this.segments = segments;
  }

  parse(name: string): Template[] {
    const { nodes, ending } = this.parseList(0);
    if (ending !== undefined) this.refuse(`{{${ending.word}}} without a block`, ending.line);
    return [{ name, file: this.file, line: 1, body: nodes }, ...this.defined];
  }

  /** Nodes up to the end of the file or to an `end` or `else` that this list does not own. */
  private parseList(depth: number): { nodes: Node[]; ending: { word: string; line: number; tokens: readonly Token[] } | undefined } {
    if (depth > MAX_DEPTH) this.refuse(`more than ${MAX_DEPTH} blocks inside each other`, this.segments[this.next]?.line ?? 0);
    const nodes: Node[] = [];
    for (;;) {
      const segment = this.segments[this.next];
      if (segment === undefined) return { nodes, ending: undefined };
      this.next += 1;
      if (segment.kind === 'text') {
        nodes.push(segment);
        continue;
      }
      const { tokens, line } = segment;
      const word = tokens[0]?.kind === 'identifier' ? tokens[0].text : '';
      if (word === 'end' || word === 'else') return { nodes, ending: { word, line, tokens } };
      const node = this.parseAction(word, tokens, line, depth);
      if (node !== undefined) nodes.push(node);
    }
  }

  private parseAction(word: string, tokens: readonly Token[], line: number, depth: number): Node | undefined {
    switch (word) {
      case 'if':
      case 'with':
      case 'range':
        return this.parseBlock(word, tokens.slice(1), line, depth);
      case 'define':
        this.parseDefinition(this.nameOf(tokens, line), tokens.length === 2, line, depth);
        return undefined;
      case 'block': {
        const name = this.nameOf(tokens, line);
        this.parseDefinition(name, true, line, depth);
        return { kind: 'template', name, pipeline: this.pipeline(tokens.slice(2), line), line };
      }
      case 'template': {
        const name = this.nameOf(tokens, line);
        return { kind: 'template', name, pipeline: tokens.length > 2 ? this.pipeline(tokens.slice(2), line) : undefined, line };
      }
      case 'break':
      case 'continue':
        return this.refuse(`{{${word}}} is outside the subset`, line);
      default:
        return { kind: 'output', pipeline: this.pipeline(tokens, line), line };
    }
  }

  private parseBlock(kind: 'if' | 'with' | 'range', tokens: readonly Token[], line: number, depth: number): Node {
    const pipeline = this.pipeline(tokens, line);
    if (pipeline.variables.length === 2 && kind !== 'range') this.refuse(`two variables belong to range, not to ${kind}`, line);
    const { nodes: body, ending } = this.parseList(depth + 1);
    let otherwise: Node[] = [];
    if (ending === undefined) return this.refuse(`{{${kind}}} is not ended`, line);
    if (ending.word === 'else') {
      const [, chained] = ending.tokens;
      if (chained === undefined) {
        const rest = this.parseList(depth + 1);
        if (rest.ending?.word !== 'end') this.refuse(`{{${kind}}} is not ended`, line);
        otherwise = rest.nodes;
      } else if (chained.text === 'if' || (chained.text === 'with' && kind === 'with')) {
        // `else if` ends with the `end` of the whole.
        otherwise = [this.parseBlock(chained.text, ending.tokens.slice(2), ending.line, depth + 1)];
      } else {
        this.refuse(`unexpected ${chained.text} after else`, ending.line);
      }
    }
    return { kind, pipeline, body, otherwise, line };
  }

  private parseDefinition(name: string, isAlone: boolean, line: number, depth: number): void {
    if (!isAlone) this.refuse('define takes a name only', line);
    if (depth > 0) this.refuse('define stands at the top of a file', line);
    const { nodes, ending } = this.parseList(depth + 1);
    if (ending?.word !== 'end') this.refuse(`the template ${JSON.stringify(name)} is not ended`, line);
    this.defined.push({ name, file: this.file, line, body: nodes });
  }

  private nameOf(tokens: readonly Token[], line: number): string {
    const name = tokens[1];
    return name?.kind === 'string' ? name.text : this.refuse(`${tokens[0]?.text ?? ''} needs a name in quotes`, line);
  }

  private pipeline(tokens: readonly Token[], line: number): Pipeline {
    const cursor = { tokens, at: 0, line };
    const pipeline = this.parsePipeline(cursor, 0);
    const left = tokens[cursor.at];
    if (left !== undefined) this.refuse(`unexpected ${JSON.stringify(left.text)}`, left.line);
    return pipeline;
  }

  private parsePipeline(cursor: Cursor, depth: number): Pipeline {
    if (depth > MAX_DEPTH) this.refuse(`more than ${MAX_DEPTH} parentheses inside each other`, cursor.line);
    const { variables, isDeclaration } = this.parseVariables(cursor);
    const commands: Command[] = [];
    for (;;) {
      commands.push(this.parseCommand(cursor, depth));
      if (cursor.tokens[cursor.at]?.text !== '|' || cursor.tokens[cursor.at]?.kind !== 'punctuation') break;
      cursor.at += 1;
    }
    return { line: commands[0]?.line ?? cursor.line, variables, isDeclaration, commands };
  }

  private parseVariables(cursor: Cursor): { variables: string[]; isDeclaration: boolean } {
    const { tokens } = cursor;
    const names = tokens.slice(cursor.at, cursor.at + 4);
    const isMark = (token: Token | undefined): boolean => token?.kind === 'punctuation' && (token.text === ':=' || token.text === '=');
    if (names[0]?.kind !== 'variable') return { variables: [], isDeclaration: false };
    if (isMark(names[1])) {
      cursor.at += 2;
      return { variables: [names[0].text], isDeclaration: names[1]?.text === ':=' };
    }
    if (names[1]?.text === ',' && names[2]?.kind === 'variable' && isMark(names[3])) {
      cursor.at += 4;
      return { variables: [names[0].text, names[2].text], isDeclaration: names[3]?.text === ':=' };
    }
    return { variables: [], isDeclaration: false };
  }

  private parseCommand(cursor: Cursor, depth: number): Command {
    const operands: Operand[] = [];
    const line = cursor.tokens[cursor.at]?.line ?? cursor.line;
    for (;;) {
      const token = cursor.tokens[cursor.at];
      if (token === undefined || (token.kind === 'punctuation' && token.text !== '(')) break;
      operands.push(this.parseOperand(token, cursor, depth));
    }
    if (operands.length === 0) this.refuse('a command is missing', line);
    const [head] = operands;
    const method = head?.kind === 'fields' ? METHODS.find((name) => `.${head.path.join('.')}`.endsWith(`.${name}`)) : undefined;
    if (method !== undefined) operands[0] = { kind: 'function', name: method, line };
    else if (operands.length > 1 && head?.kind !== 'function') this.refuse('only a function takes arguments', line);
    return { line, operands };
  }

  private parseOperand(token: Token, cursor: Cursor, depth: number): Operand {
    cursor.at += 1;
    const { line, text } = token;
    switch (token.kind) {
      case 'identifier':
        if (text === 'true' || text === 'false') return { kind: 'literal', value: text === 'true', line };
        if (text === 'nil') return { kind: 'literal', value: null, line };
        return { kind: 'function', name: text, line };
      case 'string':
        return { kind: 'literal', value: text, line };
      case 'int':
        return { kind: 'literal', value: BigInt(text), line };
      case 'dot':
        return { kind: 'fields', of: '.', path: [], line };
      case 'field':
        return { kind: 'fields', of: '.', path: [text, ...this.parseChain(cursor)], line };
      case 'variable':
        return { kind: 'fields', of: text, path: this.parseChain(cursor), line };
      case 'chain':
        return this.refuse(`unexpected .${text}`, line);
      case 'punctuation': {
        const inner = this.parsePipeline(cursor, depth + 1);
        if (cursor.tokens[cursor.at]?.text !== ')') this.refuse('a parenthesis is not closed', line);
        if (inner.variables.length > 0) this.refuse('no variable is declared inside parentheses', line);
        cursor.at += 1;
        return { kind: 'fields', of: inner, path: this.parseChain(cursor), line };
      }
    }
  }

  private parseChain(cursor: Cursor): string[] {
    const path: string[] = [];
    for (let token = cursor.tokens[cursor.at]; token?.kind === 'chain'; token = cursor.tokens[cursor.at]) {
      path.push(token.text);
      cursor.at += 1;
    }
    return path;
  }

  private refuse(message: string, line: number): never {
    throw new ChartError('ERR_CHART_SYNTAX', message, { file: this.file, line });
  }
}

interface Cursor {
  readonly tokens: readonly Token[];
  at: number;
  readonly line: number;
}
