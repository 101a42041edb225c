// SPDX-License-Identifier: Apache-2.0
/*
 * The logger that every component takes as an argument. Whether a level is written is one number compared with another, remembered per
 * logger and computed anew after the filter changed at run time (admin `/proxy-log-level`), so callers check `isEnabled` before they
 * build fields. One core — filter, format, sink — stands behind all children of a root logger.
 */
import type { LogFields } from './fields.ts';
import { formatEvent, type LogFormat } from './format.ts';
import { parseLogFilter, rankOfLevel, type LogFilter, type LogLevel, type LogSpan } from './level.ts';

/** Where lines go, how they look, and which are written. */
export interface LoggerOptions {
  /** Filter text; default DEFAULT_LOG_FILTER. Throws a RangeError when it cannot be parsed: parse first to answer users. */
  readonly filter?: string | LogFilter;
  /** Default plain. */
  readonly format?: LogFormat;
  /** Default `linkerd_weft`: targets begin with `linkerd` so that users' filters such as `warn,linkerd=info` hold for Weft too. */
  readonly target?: string;
  /** Takes whole lines, line feed included. Default standard output. */
  readonly write?: (line: string) => void;
  /** Wall clock in milliseconds, fractions allowed. */
  readonly now?: () => number;
  /** Wall clock at the start of the process, for the uptime in plain lines. */
  readonly startTimeMs?: number;
  /** Number of the thread, from 1. */
  readonly threadId?: number;
}

/** The image's default (proxy-contract §1.5). */
export const DEFAULT_LOG_FILTER = 'warn,linkerd=info';

interface LogCore {
  filter: LogFilter;
  /** Changes with the filter. */
  version: number;
  readonly format: LogFormat;
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly startTimeMs: number;
  readonly threadId: number;
}

const NO_FIELDS: LogFields = {};

/** A logger with a target, spans and fields of its own. */
export class Logger {
  readonly target: string;
  private readonly core: LogCore;
  private readonly spans: readonly LogSpan[];
  private readonly fields: LogFields;
  private rank: number;
  private version: number;

  private constructor(core: LogCore, target: string, spans: readonly LogSpan[], fields: LogFields) {
    this.core = core;
    this.target = target;
    this.spans = spans;
    this.fields = fields;
    this.rank = 0;
    this.version = -1;
  }

  /** A root logger. */
  static create(options: LoggerOptions = {}): Logger {
    const startTimeMs = options.startTimeMs ?? performance.timeOrigin;
    const core: LogCore = {
      filter: toFilter(options.filter ?? DEFAULT_LOG_FILTER),
      version: 0,
      format: options.format ?? 'plain',
      write: options.write ?? ((line): void => void process.stdout.write(line)),
      now: options.now ?? ((): number => performance.timeOrigin + performance.now()),
      startTimeMs,
      threadId: options.threadId ?? 1,
    };
    return new Logger(core, options.target ?? 'linkerd_weft', [], NO_FIELDS);
  }

  /** A logger that writes nothing, for tests and defaults. */
  static silent(): Logger {
    return Logger.create({ filter: 'off', write: () => undefined });
  }

  /** Adds a span of this name with these fields; without a name, adds the fields to every event. */
  child(fields: LogFields, spanName?: string): Logger {
    if (spanName === undefined) return new Logger(this.core, this.target, this.spans, { ...this.fields, ...fields });
    return new Logger(this.core, this.target, [...this.spans, { name: spanName, fields }], this.fields);
  }

  /** The same logger under another target, such as `linkerd_app_outbound`. */
  withTarget(target: string): Logger {
    return new Logger(this.core, target, this.spans, this.fields);
  }

  /** Whether an event of this level would be written. Cheap; ask before building fields. */
  isEnabled(level: LogLevel): boolean {
    if (this.version !== this.core.version) {
      this.version = this.core.version;
      this.rank = this.core.filter.rankOf(this.target, this.spans);
    }
    return rankOfLevel(level) <= this.rank;
  }

  /** The filter text in force, for all loggers of this root. */
  get filterText(): string {
    return this.core.filter.text;
  }

  /** Changes the filter of this root and all its children. Returns what is wrong with it, or undefined. */
  setFilter(text: string): string | undefined {
    const parsed = parseLogFilter(text);
    if ('error' in parsed) return parsed.error;
    this.core.filter = parsed;
    this.core.version += 1;
    return undefined;
  }

  error(message: string, fields?: LogFields): void {
    if (this.isEnabled('error')) this.log('error', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    if (this.isEnabled('warn')) this.log('warn', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    if (this.isEnabled('info')) this.log('info', message, fields);
  }

  debug(message: string, fields?: LogFields): void {
    if (this.isEnabled('debug')) this.log('debug', message, fields);
  }

  trace(message: string, fields?: LogFields): void {
    if (this.isEnabled('trace')) this.log('trace', message, fields);
  }

  private log(level: LogLevel, message: string, fields: LogFields = NO_FIELDS): void {
    const { core } = this;
    const nowMs = core.now();
    const line = formatEvent(core.format, {
      level,
      target: this.target,
      message,
      fields: this.fields === NO_FIELDS ? fields : { ...this.fields, ...fields },
      spans: this.spans,
      timeMicros: Math.round(nowMs * 1000),
      uptimeMicros: Math.max(0, Math.round((nowMs - core.startTimeMs) * 1000)),
      threadId: core.threadId,
    });
    core.write(`${line}\n`);
  }
}

function toFilter(filter: string | LogFilter): LogFilter {
  if (typeof filter !== 'string') return filter;
  const parsed = parseLogFilter(filter);
  if ('error' in parsed) throw new RangeError(parsed.error);
  return parsed;
}
