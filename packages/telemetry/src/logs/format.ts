// SPDX-License-Identifier: Apache-2.0
/*
 * One log event as one line. `plain` and `json` are the proxy's forms (proxy-contract §8), which `linkerd diagnostics` readers and log
 * pipelines know; `logfmt` and `logfmt-json` are those of the reference's Go controllers (features LOG-04).
 */
import { escapeText, jsonValue, plainValue, type LogFields } from './fields.ts';
import { rankOfLevel, type LogLevel, type LogSpan } from './level.ts';

export type LogFormat = 'plain' | 'json' | 'logfmt' | 'logfmt-json';

/** What is written. */
export interface LogEvent {
  readonly level: LogLevel;
  readonly target: string;
  readonly message: string;
  readonly fields: LogFields;
  readonly spans: readonly LogSpan[];
  /** Wall clock in microseconds since the epoch. */
  readonly timeMicros: number;
  /** Microseconds since the process started. */
  readonly uptimeMicros: number;
  /** Threads are numbered from 1, as the reference numbers them. */
  readonly threadId: number;
}

const LEVEL_NAMES = ['ERROR', 'WARN', 'INFO', 'DEBUG', 'TRACE'] as const;

/** The line, without its line feed. */
export function formatEvent(format: LogFormat, event: LogEvent): string {
  switch (format) {
    case 'plain':
      return formatPlain(event);
    case 'json':
      return formatJson(event);
    case 'logfmt':
      return formatLogfmt(event);
    case 'logfmt-json':
      return formatLogfmtJson(event);
    default:
      return format satisfies never;
  }
}

function formatPlain(event: LogEvent): string {
  const seconds = Math.floor(event.uptimeMicros / 1e6);
  const micros = Math.floor(event.uptimeMicros % 1e6);
  const stamp = `[${String(seconds).padStart(6)}.${String(micros).padStart(6, '0')}s]`;
  const level = LEVEL_NAMES[rankOfLevel(event.level) - 1] as string;
  let spans = '';
  for (const span of event.spans) {
    const fields = plainFields(span.fields);
    spans += fields === '' ? `${span.name}:` : `${span.name}{${fields}}:`;
  }
  const fields = plainFields(event.fields);
  const head = `${stamp} ${level.padStart(5)} ThreadId(${String(event.threadId).padStart(2, '0')}) `;
  return `${head}${spans === '' ? '' : `${spans} `}${event.target}: ${escapeText(event.message)}${fields === '' ? '' : ` ${fields}`}`;
}

function plainFields(fields: LogFields): string {
  let text = '';
  for (const name in fields) {
    const value = fields[name];
    if (value !== undefined) text += `${text === '' ? '' : ' '}${name}=${plainValue(value)}`;
  }
  return text;
}

function formatJson(event: LogEvent): string {
  const spans = event.spans.map((span) => ({ ...jsonFields(span.fields), name: span.name }));
  return JSON.stringify({
    timestamp: isoMicros(event.timeMicros),
    level: LEVEL_NAMES[rankOfLevel(event.level) - 1],
    fields: { message: escapeText(event.message), ...jsonFields(event.fields) },
    target: event.target,
    ...(spans.length === 0 ? {} : { spans }),
    threadId: `ThreadId(${event.threadId})`,
  });
}

function formatLogfmt(event: LogEvent): string {
  const time = isoSeconds(event.timeMicros);
  const level = event.level === 'warn' ? 'warning' : event.level;
  let text = `time="${time}" level=${level} msg=${logfmtValue(event.message)}`;
  for (const [name, value] of allFields(event)) text += ` ${name}=${logfmtValue(value)}`;
  return text;
}

function formatLogfmtJson(event: LogEvent): string {
  return JSON.stringify({
    ...Object.fromEntries(allFields(event)),
    level: event.level === 'warn' ? 'warning' : event.level,
    msg: escapeText(event.message),
    time: isoSeconds(event.timeMicros),
  });
}

function* allFields(event: LogEvent): IterableIterator<[string, string | number | boolean]> {
  for (const fields of [...event.spans.map((span) => span.fields), event.fields]) {
    for (const name in fields) if (fields[name] !== undefined) yield [name, jsonValue(fields[name])];
  }
}

function logfmtValue(value: string | number | boolean): string {
  const text = typeof value === 'string' ? escapeText(value) : String(value);
  return /^[\w./:@^+-]+$/.test(text) ? text : JSON.stringify(text);
}

function jsonFields(fields: LogFields): Record<string, string | number | boolean> {
  const result: Record<string, string | number | boolean> = {};
  for (const name in fields) if (fields[name] !== undefined) result[name] = jsonValue(fields[name]);
  return result;
}

function isoMicros(timeMicros: number): string {
  const micros = String(Math.floor(timeMicros % 1e6)).padStart(6, '0');
  return `${isoSeconds(timeMicros).slice(0, -1)}.${micros}Z`;
}

function isoSeconds(timeMicros: number): string {
  return `${new Date(Math.floor(timeMicros / 1e6) * 1000).toISOString().slice(0, 19)}Z`;
}
