// SPDX-License-Identifier: Apache-2.0
/*
 * The frame of inject and uninject: manifests in, manifests out on standard output, and on standard error what became of each (features
 * CLI-22, CLI-24).
 */
import { SKIP_REASON_TEXT, type ManifestReport, type ManifestResult } from '@weft/injector';
import type { CommandOutput } from '../command-context.ts';
import { type ManifestObject, readDocuments, writeDocument } from './documents.ts';
import type { ManifestText } from './read-sources.ts';

export type ManifestFormat = 'yaml' | 'json';

/** Changes one object. */
export type Transform = (object: ManifestObject) => ManifestResult;

/** Changes all objects of all texts. Everything is read before anything is written, so that a fault leaves no half output. */
export function transformManifests(
  texts: readonly ManifestText[],
  transform: Transform,
  format: ManifestFormat,
  { out, err }: CommandOutput,
): readonly ManifestReport[] {
  const documents = texts.flatMap(readDocuments);
  const results = documents.map(({ object, original }) => {
    const { object: result, report } = transform(object);
    return {
      report,
      text: format === 'json' ? `${JSON.stringify(result, undefined, 2)}\n` : result === object ? original : writeDocument(result),
    };
  });
  for (const { text } of results) out(format === 'json' ? text : `---\n${text.replace(/^---\n/, '')}${text.endsWith('\n') ? '' : '\n'}`);
  const reports = results.map(({ report }) => report);
  err(`\n${reports.flatMap(reportLines).join('\n')}\n`);
  return reports;
}

/** What became of an object, a line each; `√` for what is as it should be, `‼` for what is not. */
export function reportLines(report: ManifestReport): string[] {
  if (report.items.length > 0) return report.items.flatMap(reportLines);
  const subject = report.kind === '' ? 'document missing "kind" field,' : `${report.kind.toLowerCase()} "${report.name}"`;
  const lines = [`${MARKS[report.outcome]} ${subject} ${outcomeText(report)}`];
  if (report.hasUdpPorts && report.outcome !== 'unsupported') lines.push(`‼ ${subject} has UDP ports, which stay outside the mesh`);
  for (const { annotation, problem } of report.problems) lines.push(`‼ ${subject}: annotation ${annotation} is not honoured: ${problem}`);
  return lines;
}

const MARKS: Readonly<Record<ManifestReport['outcome'], string>> = {
  injected: '√',
  annotated: '√',
  uninjected: '√',
  unchanged: ' ',
  unsupported: ' ',
  skipped: '‼',
};

function outcomeText({ outcome, skipReasons }: ManifestReport): string {
  if (outcome !== 'skipped') return outcome === 'unsupported' ? 'skipped' : outcome;
  return `skipped: ${skipReasons.map((reason) => SKIP_REASON_TEXT[reason]).join(', ')}`;
}
