// SPDX-License-Identifier: Apache-2.0
/*
 * Reads the corpus: Markdown files where a heading names a case, a `request` or `response` block holds its input and a `log`
 * block what must happen, as if fed byte by byte (compare llhttp's tests). In inputs a line end stands for CRLF, save the
 * last one, which stands for nothing; `\r \n \t \0 \\ \xHH` are octets, `{3*ab}` repeats.
 */
import { Buffer } from 'node:buffer';
import { readdirSync, readFileSync } from 'node:fs';
import type { Setting } from './event-log.ts';

export interface CorpusCase {
  readonly file: string;
  readonly title: string;
  readonly setting: Setting;
  readonly input: Buffer;
  readonly log: string;
}

const CORPUS = new URL('./corpus/', import.meta.url);

export function readCorpus(): CorpusCase[] {
  return readdirSync(CORPUS)
    .filter((file) => file.endsWith('.md'))
    .sort()
    .flatMap((file) => readCases(file, readFileSync(new URL(file, CORPUS), 'utf8')));
}

function readCases(file: string, text: string): CorpusCase[] {
  return text
    .split(/^## /mu)
    .slice(1)
    .map((section) => {
      const title = section.slice(0, section.indexOf('\n'));
      const input = /^```(request|response)([^\n]*)\n([\s\S]*?)\n?^```$/mu.exec(section);
      const log = /^```log\n([\s\S]*?)\n?^```$/mu.exec(section);
      if (input === null || log === null) throw new Error(`${file}: "${title}" lacks input or log`);
      return {
        file,
        title,
        setting: readSetting(input[1] as 'request' | 'response', input[2]),
        input: octetsOf(input[3]),
        log: log[1],
      };
    });
}

function readSetting(kind: 'request' | 'response', words: string): Setting {
  const methods: string[] = [];
  const limits: Record<string, number> = {};
  const flags = new Set<string>();
  for (const word of words.split(' ').filter((word) => word !== '')) {
    const [name, value] = word.split('=');
    if (value !== undefined) limits[name] = Number(value);
    else if (/^[A-Z]+$/u.test(word)) methods.push(word);
    else flags.add(word);
  }
  return {
    kind,
    methods: kind === 'response' && methods.length === 0 ? ['GET'] : methods,
    limits,
    leniency: { bareLf: flags.has('bareLf') },
    isTunnel: flags.has('tunnel'),
    isOpen: flags.has('open'),
  };
}

/** Octets that the text of an input block stands for. */
export function octetsOf(text: string): Buffer {
  const ESCAPES: Record<string, string> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };
  const octets = text
    .replace(/\n/gu, '\r\n')
    .replace(/\{(\d+)\*([^}]*)\}/gu, (_, count: string, piece: string) => piece.repeat(Number(count)))
    .replace(/\\(?:x([0-9a-f]{2})|([rnt0\\]))/giu, (_, hex: string | undefined, letter: string) =>
      hex === undefined ? (ESCAPES[letter]) : String.fromCharCode(Number.parseInt(hex, 16)),
    );
  return Buffer.from(octets, 'latin1');
}
