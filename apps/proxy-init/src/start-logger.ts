// SPDX-License-Identifier: Apache-2.0
/*
 * Logs of the programs of a pod's start: lines on standard error, at the level and in the form that the injector's flags say. Levels are
 * those of the reference's two languages (`warning`, `panic`), or a filter such as `warn,linkerd=debug`.
 */
import { Logger, parseLogFilter, type LogFormat } from '@weft/telemetry';

const LEVELS: Readonly<Record<string, string>> = { panic: 'error', fatal: 'error', warning: 'warn' };

/** A logger; a level that cannot be read counts as `info`, since a pod's start must not hang on it. */
export function startLogger(target: string, level: string, format: LogFormat): Logger {
  const filter = parseLogFilter(LEVELS[level] ?? level);
  return Logger.create({
    filter: 'error' in filter ? 'info' : filter,
    format,
    target,
    // Synchronous, so that nothing is lost when the process ends.
    write: (line) => void process.stderr.write(line),
  });
}
