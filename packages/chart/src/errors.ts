// SPDX-License-Identifier: Apache-2.0
/*
 * What can be wrong with a chart or the values given to it, in words for whoever wrote the one or the other.
 */

/** See `ChartError`. */
export type ChartErrorCode =
  | 'ERR_CHART_FILE'
  | 'ERR_CHART_SYNTAX'
  | 'ERR_CHART_FUNCTION'
  | 'ERR_CHART_TEMPLATE'
  | 'ERR_CHART_VALUES'
  | 'ERR_CHART_SCHEMA'
  | 'ERR_CHART_LIMIT';

/** Where in a chart something is wrong. */
export interface ChartPosition {
  /** Path inside the chart, such as `templates/identity.yaml`. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
}

/**
 * Match on `code`: a file that is missing or unreadable, a template outside the grammar, a function outside the subset, a template that
 * failed while it ran (`fail` and `required` too), values that cannot be used, values that the schema refuses (`problems` has one line
 * each), or a template that grew beyond a limit.
 */
export class ChartError extends Error {
  readonly code: ChartErrorCode;
  readonly position: ChartPosition | undefined;
  /** One line for each thing wrong; the message joins them. */
  readonly problems: readonly string[];

  constructor(code: ChartErrorCode, problems: string | readonly string[], position?: ChartPosition) {
    const lines = typeof problems === 'string' ? [problems] : problems;
    const where = position === undefined ? '' : `${position.file}:${position.line}: `;
    super(`${where}${lines.join('\n')}`);
    this.name = 'ChartError';
    this.code = code;
    this.position = position;
    this.problems = lines;
  }
}
