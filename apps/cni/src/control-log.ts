// SPDX-License-Identifier: Apache-2.0
/*
 * Logs of the installer and the repair controller, in the form of the reference's controllers.
 */
import { Logger, parseLogFilter } from '@weft/telemetry';

/** A logger; a level that cannot be read counts as `info`. */
export function controlLogger(target: string, level: string, format: string): Logger {
  const filter = parseLogFilter(level === 'warning' ? 'warn' : level);
  return Logger.create({ filter: 'error' in filter ? 'info' : filter, format: format === 'json' ? 'logfmt-json' : 'logfmt', target });
}

/** Aborts at the first SIGTERM or SIGINT. */
export function untilSignal(logger: Logger): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const) {
    process.on(name, () => {
      logger.info('Signal received', { signal: name });
      controller.abort();
    });
  }
  return controller.signal;
}
