// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run fuzz -- --minutes N --seed S`: inputs from grammars, and mutations of these and of the kept corpus, through every decoder that meets bytes of
 * peers. Laws: no throw, no hang, bounded memory, the same answer however the bytes are cut, and the laws of each target. What breaks one is
 * written to reports/fuzz and the run fails. `--target NAME` = only that; `--fault N` plants a fault first; `--keep` adds to the corpus.
 */
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { PLANTED_FAULTS, plant } from './planted-faults.ts';
import { cut, mutate, Random } from './random.ts';
import type { Target } from './target.ts';

/** One input may take so long; a thousandth of it is usual. A machine may be busy, so it is generous, and far below what a quadratic scan takes. */
const MAX_INPUT_MS = 3000;
const MAX_HEAP_BYTES = 512 * 1024 * 1024;
const MAX_KEPT = 200;
const MAX_CORPUS_FILES = 10;
const MAX_CORPUS_BYTES = 1500;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    fault: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});
const fault = values.fault === undefined ? undefined : PLANTED_FAULTS[Number(values.fault)];
if (fault !== undefined) plant(fault);

// After the fault is planted.
const http1 = await import('./targets/http1.ts');
const http2 = await import('./targets/http2.ts');
const detect = await import('./targets/detect.ts');
const TARGETS: readonly Target[] = [
  http1.HTTP1_REQUEST,
  http1.HTTP1_SOUND,
  http1.HTTP1_RESPONSE,
  http2.HTTP2,
  http2.HPACK,
  http2.HPACK_ROUND_TRIP,
  detect.CLIENT_HELLO,
  detect.DETECT_HTTP,
  detect.TRANSPORT_HEADER,
  detect.PROTO,
  detect.CSR,
].filter(({ name }) => values.target === undefined || name === values.target);

const corpusDirectory = join(import.meta.dirname, 'corpus');

/** Inputs of one target that were each answered in a way not seen before. */
class Corpus {
  readonly inputs: Uint8Array[] = [];
  private readonly signatures = new Set<string>();
  private readonly directory: string;

  constructor(target: Target) {
    this.directory = join(corpusDirectory, target.name);
    if (existsSync(this.directory))
      for (const file of readdirSync(this.directory).sort()) this.inputs.push(readFileSync(join(this.directory, file)));
  }

  note(input: Uint8Array, observation: string): void {
    const signature = observation
      .replaceAll(/[0-9]+/g, '0')
      .replaceAll(/"[^"]*"/g, 's')
      .slice(0, 400);
    if (this.signatures.has(signature) || this.signatures.size >= MAX_KEPT) return;
    this.signatures.add(signature);
    this.inputs.push(input);
    if (!values.keep || input.length > MAX_CORPUS_BYTES) return;
    mkdirSync(this.directory, { recursive: true });
    if (readdirSync(this.directory).length >= MAX_CORPUS_FILES) return;
    writeFileSync(join(this.directory, `${createHash('sha256').update(input).digest('hex').slice(0, 12)}.bin`), input);
  }
}

function check(target: Target, input: Uint8Array, random: Random): string {
  const startedMs = performance.now();
  const whole = target.observe([Buffer.from(input)]);
  const pieces = target.observe(cut(random, input));
  if (pieces !== whole)
    throw new Error(`broken law: the cut does not matter\n  whole:  ${JSON.stringify(whole)}\n  pieces: ${JSON.stringify(pieces)}`);
  const tookMs = performance.now() - startedMs;
  if (tookMs > MAX_INPUT_MS) throw new Error(`broken law: no input takes long (${tookMs.toFixed(0)} ms for ${input.length} octets)`);
  return whole;
}

const random = new Random(Number(values.seed));
const startedMs = performance.now();
const endMs = startedMs + Number(values.minutes) * 60_000;
const corpora = new Map(TARGETS.map((target) => [target, new Corpus(target)]));
let inputs = 0;
let failure: string | undefined;

for (let round = 0; failure === undefined && performance.now() < endMs; round++) {
  for (const target of TARGETS) {
    const corpus = corpora.get(target) as Corpus;
    const base = corpus.inputs.length > 0 && random.chance(2) ? random.pick(corpus.inputs) : target.generate(random);
    // The kept ones come first, as they are.
    const kept = corpus.inputs[round];
    const input =
      kept !== undefined && round < MAX_CORPUS_FILES ? kept : random.chance(3) ? base : mutate(random, base, target.generate(random));
    inputs += 1;
    try {
      corpus.note(input, check(target, input, random));
    } catch (error) {
      failure = `${target.name}: ${(error as Error).message}`;
      const file = join('reports/fuzz', `${target.name}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}.bin`);
      if (fault === undefined) {
        mkdirSync('reports/fuzz', { recursive: true });
        writeFileSync(file, input);
        failure += `\n  ${(error as Error).stack ?? ''}\n  input: ${file}`;
      }
      break;
    }
  }
  if (round % 1000 === 0 && process.memoryUsage().heapUsed > MAX_HEAP_BYTES) failure = 'broken law: memory is bounded';
}

const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
console.log(JSON.stringify({ inputs, seconds: Number(seconds), seed: Number(values.seed), found: failure ?? null }));
if (failure !== undefined) console.error(failure);
process.exit(failure === undefined ? 0 : 1);
