// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run bench`: the meshed path of Weft beside Envoy's in one interleaved run; a table on standard output, bench/results/latest.json and,
 * after a full run, docs/performance.md. Exit code 0 when every bar is met, 1 when one is not, 2 when it could not be measured.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judge } from './bars.ts';
import { CASES, type Subject } from './cases.ts';
import { FLAG_SETS, runFlagTrial } from './flag-trial.ts';
import { measureMemory, type MemorySample, summarizeMemory } from './memory.ts';
import { type BenchOptions, isWanted, parseOptions, USAGE } from './options.ts';
import { writeDocument } from './report/document.ts';
import { barTable, resultTable } from './report/table.ts';
import { describeEnvironment, type MemorySummary, type Results } from './results.ts';
import { stopRig } from './rig.ts';
import { runCases } from './run-cases.ts';
import { finish, run } from './shell.ts';
import { prepareTools } from './tools.ts';
import { createWorld, type WorldOptions } from './world.ts';

const ROOT = join(import.meta.dirname, '../..');
const MEMORY_ROUNDS = 3;

process.exitCode = await main();

async function main(): Promise<number> {
  let options: BenchOptions;
  try {
    options = parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${(error as Error).message}\n${USAGE}`);
    return 2;
  }
  if (options.isDocumentOnly) {
    writeDocument(ROOT);
    return 0;
  }
  const directory = mkdtempSync(join(tmpdir(), 'weftbench-'));
  const end = (): void => {
    stopRig();
    rmSync(directory, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      end();
      process.exit(2);
    });
  try {
    return await bench(options, directory);
  } catch (error) {
    console.error(`bench: ${(error as Error).stack}`);
    return 2;
  } finally {
    end();
  }
}

async function bench(options: BenchOptions, directory: string): Promise<number> {
  run('chmod', '755', directory);
  console.error('bench: preparing tools and the proxy');
  const tools = await prepareTools(ROOT);
  if (options.proxyMain === undefined) await finish('npm', 'run', 'build', '-w', '@weft/app-proxy', '--prefix', ROOT);
  // A copy, so that a build meanwhile does not mix two versions.
  const proxyMain = join(directory, 'proxy.mjs');
  copyFileSync(options.proxyMain ?? join(ROOT, 'apps/proxy/dist/main.js'), proxyMain);
  const nodeFlags = options.nodeFlags ?? proxyNodeFlags();
  const worldOptions: WorldOptions = { root: ROOT, directory, tools, proxyMain, nodeFlags, hasEnvoy: true };

  if (options.isFlagTrial) {
    const environment = describeEnvironment(ROOT, tools.versions, [], options);
    const sets = await runFlagTrial({ ...options, world: worldOptions, sets: flagSets(options), report: (line) => console.error(line) });
    writeResults(options.nodeFlags === undefined && !options.isQuick ? 'flags.json' : 'partial.json', { environment, sets });
    writeDocument(ROOT);
    return 0;
  }

  const cases = CASES.filter(({ id }) => isWanted(options, id));
  let results: Results = { environment: describeEnvironment(ROOT, tools.versions, nodeFlags, options), cases: [] };
  if (cases.length > 0) {
    const world = await createWorld(worldOptions);
    results = { ...results, cases: await runCases(world, { ...options, cases, report: (line) => console.error(line) }) };
    stopRig();
  }
  if (options.isQuick ? options.only.includes('memory') : isWanted(options, 'memory'))
    results = { ...results, memory: await runMemory(worldOptions, options) };

  console.log(resultTable(results));
  const bars = judge(results);
  console.log(barTable(bars));
  const isFull = !options.isQuick && options.only.length === 0;
  writeResults(isFull ? 'latest.json' : 'partial.json', results);
  if (isFull) writeDocument(ROOT);
  return bars.every(({ isMet }) => isMet) ? 0 : 1;
}

async function runMemory(worldOptions: WorldOptions, options: BenchOptions): Promise<Partial<Record<Subject, MemorySummary>>> {
  const samples = new Map<Subject, MemorySample[]>();
  const rounds = Math.min(MEMORY_ROUNDS, options.rounds);
  for (let round = 0; round < rounds; round++) {
    const world = await createWorld(worldOptions);
    for (const [subject, sample] of await measureMemory(world, options.seconds, round % 2 === 1)) {
      samples.set(subject, [...(samples.get(subject) ?? []), sample]);
      console.error(
        `memory ${round + 1}/${rounds}  ${subject.padEnd(7)} idle ${sample.idleRssAnonMb.toFixed(1)}  1,200/s ${sample.loadedRssAnonMb.toFixed(1)}  ` +
          `256 connections ${sample.saturatedRssAnonMb.toFixed(1)}  after ${sample.afterRssAnonMb.toFixed(1)} MiB  idle CPU ${sample.idleCpuPercent.toFixed(3)} %`,
      );
    }
    stopRig();
  }
  return Object.fromEntries([...samples].map(([subject, list]) => [subject, summarizeMemory(list)]));
}

/** `--node-flags` with `;` between sets tries those; otherwise all that are known. */
function flagSets(options: BenchOptions): readonly (readonly string[])[] {
  if (options.nodeFlags === undefined) return FLAG_SETS;
  return options.nodeFlags
    .join(' ')
    .split(';')
    .map((set) => set.split(' ').filter((flag) => flag !== ''));
}

/** Only results of complete runs have a name that the document reads; `partial.json` is nobody's source. */
function writeResults(name: string, value: object): void {
  mkdirSync(join(ROOT, 'bench/results'), { recursive: true });
  writeFileSync(join(ROOT, 'bench/results', name), `${JSON.stringify(value, undefined, 2)}\n`);
}

/** The flags that the image runs the proxy with. */
function proxyNodeFlags(): string[] {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'apps/proxy/package.json'), 'utf8')) as { weft: { nodeFlags: string[] } };
  return manifest.weft.nodeFlags;
}
