// SPDX-License-Identifier: Apache-2.0
/*
 * What `weft run` shows: in a terminal one screen that is drawn again every second, elsewhere plain lines. Applications' own lines appear only in
 * the plain form; in both they are kept in files.
 */
import { formatSummary, type TrafficSummary } from '@weft/host-run';

/** Events that stay on the screen. */
const EVENT_COUNT = 8;
/** Readings between summaries in the plain form. */
const PLAIN_EVERY = 10;
const CLEAR = '\u001b[H\u001b[2J\u001b[3J';

/** State of the screen besides traffic. */
export interface ViewState {
  readonly name: string;
  readonly readyPods: number;
  readonly pods: number;
  readonly problems: readonly string[];
  readonly logs: string;
}

/** One of the two forms. */
export interface RunView {
  onEvent(message: string): void;
  onLine(prefix: string, line: string): void;
  /** After each reading. */
  update(summary: TrafficSummary, state: ViewState): void;
  close(): void;
}

/** A screen. */
export function screenView(write: (text: string) => void): RunView {
  const events: string[] = [];
  return {
    onEvent: (message) => {
      events.push(`${new Date().toISOString().slice(11, 19)} ${message}`);
      if (events.length > EVENT_COUNT) events.shift();
    },
    onLine: () => undefined,
    update: (summary, state) => {
      const traffic = formatSummary(summary);
      const parts = [
        `weft run ${state.name}: ${state.readyPods} of ${state.pods} pods ready; last ${summary.seconds.toFixed(0)} s; Ctrl-C ends it`,
        traffic === '' ? 'no traffic yet' : traffic,
        ...(state.problems.length === 0 ? [] : [['MANIFESTS NOT IN FORCE', ...state.problems].join('\n')]),
        ...(events.length === 0 ? [] : [events.join('\n')]),
        `logs of the containers: ${state.logs}`,
      ];
      write(`${CLEAR}${parts.join('\n\n')}\n`);
    },
    close: () => undefined,
  };
}

/** Lines. `showsTraffic` off leaves the summaries out, for output that a program reads. */
export function plainView(write: (text: string) => void, showsTraffic: boolean): RunView {
  let readings = 0;
  return {
    onEvent: (message) => write(`${message}\n`),
    onLine: (prefix, line) => write(`[${prefix}] ${line}\n`),
    update: (summary, state) => {
      readings += 1;
      if (!showsTraffic || readings % PLAIN_EVERY !== 0) return;
      const traffic = formatSummary(summary);
      write(`${state.readyPods} of ${state.pods} pods ready${traffic === '' ? '' : `\n${traffic}`}\n`);
    },
    close: () => undefined,
  };
}
