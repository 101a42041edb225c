// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the parts of a Dockerfile that a test compares with an image: the last stage's instructions, with continuation lines joined, and the
 * stages before it as they are. No variables are replaced.
 */

/** One instruction. */
export interface Instruction {
  /** In upper case. */
  readonly name: string;
  readonly text: string;
}

/** The instructions of each stage, each beginning with its FROM. Throws RangeError where one comes before the first FROM (but ARG). */
export function dockerfileStages(text: string): Instruction[][] {
  const stages: Instruction[][] = [];
  const lines = text
    .replace(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
  for (const line of lines) {
    const [name = '', ...rest] = line.split(/\s+/);
    const instruction = { name: name.toUpperCase(), text: rest.join(' ') };
    if (instruction.name === 'FROM') stages.push([instruction]);
    else if (stages.length > 0) stages.at(-1)?.push(instruction);
    else if (instruction.name !== 'ARG') throw new RangeError(`${instruction.name} comes before any FROM`);
  }
  return stages;
}

/** `NAME=value` pairs of ENV and LABEL instructions; values may be in double quotes. */
export function keyValues(instructions: readonly Instruction[], name: string): Record<string, string> {
  const pairs: Record<string, string> = {};
  for (const instruction of instructions) {
    if (instruction.name !== name) continue;
    for (const [, key = '', quoted, plain] of instruction.text.matchAll(/([\w.-]+)=(?:"([^"]*)"|(\S*))/g))
      pairs[key] = quoted ?? plain ?? '';
  }
  return pairs;
}
