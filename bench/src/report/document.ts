// SPDX-License-Identifier: Apache-2.0
/* docs/performance.md and its chart, made from bench/results: every figure of the page comes from there, none is written by hand. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { judge } from '../bars.ts';
import type { FlagResults } from '../flag-trial.ts';
import type { CaseSummary, Environment, MemorySummary, Results } from '../results.ts';
import type { Spread } from '../statistics.ts';
import { chart } from './chart.ts';
import { range } from './table.ts';

/** More than this, and the page says so at its top. */
const MAX_FOREIGN_CORES = 0.3;

/** Does nothing while there is no result of a full run. */
export function writeDocument(root: string): void {
  const results = readJson(join(root, 'bench/results/latest.json')) as Results | undefined;
  if (results === undefined) return;
  const flags = readJson(join(root, 'bench/results/flags.json')) as FlagResults | undefined;
  writeFileSync(join(root, 'docs/performance.svg'), chart(results.cases));
  const path = join(root, 'docs/performance.md');
  writeFileSync(path, page(results, flags));
  // The repository's formatter also lays out tables.
  execFileSync(join(root, 'node_modules/.bin/oxfmt'), [path], { cwd: root });
}

/** The page as Markdown. */
export function page(results: Results, flags: FlagResults | undefined): string {
  const { environment, cases, memory } = results;
  const { mean } = foreignCores(cases);
  const warning =
    mean <= MAX_FOREIGN_CORES
      ? ''
      : `\n\n**The machine was busy with other work during this run** (${mean.toFixed(2)} cores on average): read the latencies as a comparison only.`;
  const sections = [
    `# Performance

Made by \`npm run bench\`; do not edit, run it again. Weft's sidecars beside Envoy's, in one run, on ${environment.date}, at commit ${environment.commit}.${warning}

![CPU per request](performance.svg)`,
    `## The bars

| bar | limit | measured | |
|---|---|---|---|
${judge(results)
  .map((bar) => `| ${bar.name} | ${bar.limit} | ${bar.measured} | ${bar.isMet ? 'met' : '**not met**'} |`)
  .join('\n')}`,
    `## CPU and latency

CPU is user and system time of the outbound plus the inbound proxy for one request, in µs. Median of ${environment.rounds} rounds, with minimum and maximum.
The ratio is that of the medians, with the range of the rounds' own ratios. *direct* is the client at the application without proxies.

| | CPU Weft (out + in) | CPU Envoy (out + in) | Weft ÷ Envoy | p50 ms Weft, Envoy, direct | p99 ms Weft | p99 ms Envoy | requests/s Weft, Envoy |
|---|---|---|---|---|---|---|---|
${cases.map(caseRow).join('\n')}

Failed requests: ${failures(cases)}.`,
  ];
  if (memory !== undefined) sections.push(memorySection(memory));
  if (flags !== undefined) sections.push(flagSection(flags));
  sections.push(methodSection(environment, cases));
  return `${sections.join('\n\n')}\n`;
}

function caseRow({ title, subjects: { weft, envoy, direct }, cpuRatio }: CaseSummary): string {
  const cpu = (subject: typeof weft): string =>
    subject === undefined
      ? ''
      : `${rounded(subject.cpuUs)} = ${digits(subject.outboundCpuUs.median)} + ${digits(subject.inboundCpuUs.median)}`;
  const p50 = [weft, envoy, direct].map((subject) => subject?.p50Ms.median.toFixed(2) ?? '–').join(', ');
  const rates = [weft, envoy].map((subject) => subject?.ratePerSecond.median.toFixed(0) ?? '–').join(', ');
  const p99 = (subject: typeof weft): string => (subject === undefined ? '' : range(subject.p99Ms, 2));
  return `| ${title} | ${cpu(weft)} | ${cpu(envoy)} | ${cpuRatio === undefined ? '' : `**${cpuRatio.median.toFixed(2)}** (${cpuRatio.min.toFixed(2)}–${cpuRatio.max.toFixed(2)})`} | ${p50} | ${p99(weft)} | ${p99(envoy)} | ${rates} |`;
}

function failures(cases: readonly CaseSummary[]): string {
  return (['weft', 'envoy', 'direct'] as const)
    .map((subject) => `${cases.reduce((sum, { subjects }) => sum + (subjects[subject]?.errors ?? 0), 0)} ${subject}`)
    .join(', ');
}

function memorySection(memory: NonNullable<Results['memory']>): string {
  const row = (name: string, summary: MemorySummary | undefined): string =>
    summary === undefined
      ? ''
      : `| ${name} | ${[summary.idleRssAnonMb, summary.loadedRssAnonMb, summary.saturatedRssAnonMb, summary.afterRssAnonMb].map((spread) => range(spread, 1)).join(' | ')} | ${range(summary.idleCpuPercent, 2)} |\n`;
  return `## Memory

Private memory (\`RssAnon\`) in MiB of the larger of the two sidecars, fresh processes each round; the highest sample during a load. Idle CPU is that of
both sidecars, in percent of a core. The file-backed pages of the programs themselves are shared by all proxies of a machine and not in it.

| | idle | at 1,200 requests/s | 256 connections, saturated | 70 s later | idle CPU % |
|---|---|---|---|---|---|
${row('Weft', memory.weft)}${row('Envoy', memory.envoy)}`.trimEnd();
}

function flagSection({ environment, sets }: FlagResults): string {
  const rows = sets
    .map(
      ({ flags, cpuUs, p99Ms, rssAnonMb }) =>
        `| ${flags.length === 0 ? 'none' : `\`${flags.join(' ')}\``} | ${rounded(cpuUs.c32)} | ${rounded(cpuUs.r300)} | ${rounded(cpuUs.r1200)} | ${p99Ms.c32.median.toFixed(2)} | ${p99Ms.cold.median.toFixed(2)} | ${rssAnonMb.idle.median.toFixed(1)} | ${rssAnonMb.r1200.median.toFixed(1)} | ${rssAnonMb.c32.median.toFixed(1)} | ${rssAnonMb.after.median.toFixed(1)} |`,
    )
    .join('\n');
  return `## Node's flags

The proxy runs with the flags of \`weft.nodeFlags\` in apps/proxy/package.json, chosen by \`npm run bench -- --flags\` (Weft alone, ${environment.rounds} rounds in
alternating order, on ${environment.date}): CPU of both sidecars per request in µs, at 32 connections, 300 and 1,200 requests/s; p99 in ms, *cold* being the first
seconds of a process at 1,200 requests/s; \`RssAnon\` in MiB of the larger sidecar.

| flags | CPU, 32 connections | CPU, 300/s | CPU, 1,200/s | p99, 32 connections | p99, cold | idle | 1,200/s | 32 connections | after |
|---|---|---|---|---|---|---|---|---|---|
${rows}

- \`--max-semi-space-size=1\` (MiB): requests leave little garbage, so a small young generation costs no CPU, and pages that a larger one would touch are saved.
- \`--single-threaded\`: V8 compiles and collects on the main thread. With background compilation each thread keeps its own arena of native memory, by far the
  largest saving of all; the compiler's pauses are short, and on a pod's share of a core its threads would compete with the event loop anyway.
- \`--v8-pool-size=0\`: the threads that would now have nothing to do are not started.
- \`--expose-gc\`: lets the proxy collect and compact while it is idle, once after the start and after bursts (apps/proxy/src/settle-memory.ts).
- Not chosen: \`--optimize-for-size\` and \`--lite-mode\` pay for their memory in CPU; \`--max-lazy\` changes nothing that can be measured.`;
}

function methodSection(environment: Environment, cases: readonly CaseSummary[]): string {
  const foreign = foreignCores(cases);
  return `## Method

- Client and server stand in two network namespaces joined by a veth pair, each with a sidecar of either kind. The client dials a service address; netfilter
  redirects it to the outbound proxy (original destination, for both kinds), which speaks mutual TLS 1.3 with P-256 certificates and HTTP/2 to the inbound
  proxy, which calls the application. Both pairs stand at once and are measured in turns: ${environment.rounds} rounds of ${environment.seconds} s per case and subject, the order of
  the two reversed in every other round, after a warm-up of both.
- The application is nginx with a static answer of 100 bytes (HTTP/1.1, and HTTP/2 with prior knowledge) and a Go gRPC server that echoes a string.
- Load: fortio for HTTP/1.1 with keep-alive (open loop: 16 connections, evenly spaced), h2load for HTTP/2, ghz for gRPC. Client, proxies and application share the
  machine's cores, so saturated throughput and latency are those of the whole, CPU per request is the proxies' own.
- CPU is read from \`/proc/<pid>/task/*/schedstat\` (nanoseconds) around each run, and divided by the requests that were answered correctly.
- Envoy is tuned as a competent operator would: one worker, no access log, no admin listener, HTTP/2 upstream, connections reused; bench/config says why for
  each choice. Weft runs with all that a sidecar does: discovery and policy from a control plane over gRPC, protocol detection, routing, balancing, metrics.
- ${environment.isGuarded ? 'A run during which other processes of the machine used more than 0.4 of a core is made again, at most twice; left over' : 'Used by other processes of the machine meanwhile'}:
  ${foreign.mean.toFixed(2)} of a core on average, at most ${foreign.worst.toFixed(2)} in the median of any case.

Machine: ${environment.machine}.
Versions: ${Object.entries(environment.versions)
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')}.
Node flags: \`${environment.nodeFlags.join(' ')}\`.`;
}

/** What others used of the machine, over the medians of all cases and subjects. */
function foreignCores(cases: readonly CaseSummary[]): { readonly mean: number; readonly worst: number } {
  const medians = cases.flatMap(({ subjects }) => Object.values(subjects).map((subject) => subject.foreignCores.median));
  if (medians.length === 0) return { mean: 0, worst: 0 };
  return { mean: medians.reduce((sum, cores) => sum + cores, 0) / medians.length, worst: Math.max(...medians) };
}

/** One digit after the point below 100, none above. */
function digits(value: number): string {
  return value.toFixed(value < 100 ? 1 : 0);
}

function rounded(spread: Spread): string {
  return `${digits(spread.median)} (${digits(spread.min)}–${digits(spread.max)})`;
}

function readJson(path: string): unknown {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined;
}
