// SPDX-License-Identifier: Apache-2.0
/*
 * Options that all sub-commands share, and those that the reference's charts pass but that mean nothing here: they are accepted, so that a
 * chart's arguments start our processes too, and say so once at debug level.
 */
import { Option, type Command } from 'commander';
import { Logger, parseLogFilter, type LogFilter, type LogFormat } from '@weft/telemetry';
import { parseBoolean } from '../flags.ts';
import type { ResourceFlags } from '../resource-source.ts';

/** Values of the shared options. */
export interface CommonValues extends ResourceFlags {
  readonly logLevel: string;
  readonly logFormat: string;
}

/** Adds the shared options. */
export function addCommonOptions(command: Command, accepted: readonly string[]): Command {
  command
    .addOption(new Option('--resources <source>', 'directory of manifests or URL of an API server; default: the cluster that this runs in'))
    .addOption(new Option('--crds <directory>', 'definitions of the custom kinds for a directory; without them no schema is checked'))
    .addOption(new Option('--kubeconfig <file>', 'kubeconfig of the cluster; default: the cluster that this runs in'))
    .addOption(new Option('--log-format <format>', 'plain or json').default('plain').choices(['plain', 'json']));
  const known = new Set(command.options.map((option) => option.name()));
  for (const name of accepted) {
    if (!known.has(name)) command.addOption(new Option(`--${name} [value]`, 'accepted for compatibility').hideHelp());
  }
  return command;
}

/** A boolean option: `--name`, `--name=false`. */
export function booleanOption(name: string, description: string, byDefault: boolean): Option {
  return new Option(`--${name} [boolean]`, description).argParser(parseBoolean).default(byDefault).preset('true');
}

const CONTROLLER_LEVELS: readonly string[] = ['panic', 'fatal', 'error', 'warn', 'warning', 'info', 'debug', 'trace'];

/**
 * The logger of a Go component: one level for all (features LOG-04). The reference's levels `fatal` and `panic` mean errors here. Throws
 * RangeError for a level that does not exist.
 */
export function createControllerLogger(values: CommonValues, target: string): Logger {
  const level = values.logLevel.toLowerCase();
  if (!CONTROLLER_LEVELS.includes(level)) throw new RangeError(`--log-level: ${values.logLevel} is not a level`);
  return Logger.create({
    filter: toFilter(['fatal', 'panic'].includes(level) ? 'error' : level),
    format: values.logFormat === 'json' ? 'logfmt-json' : 'logfmt',
    target,
  });
}

/** The logger of the policy controller, whose level is a filter and whose lines are the proxy's kind. Throws RangeError. */
export function createPolicyLogger(values: CommonValues, target: string): Logger {
  const format: LogFormat = values.logFormat === 'json' ? 'json' : 'plain';
  return Logger.create({ filter: toFilter(values.logLevel), format, target });
}

function toFilter(text: string): LogFilter {
  const filter = parseLogFilter(text);
  if ('error' in filter) throw new RangeError(`--log-level: ${filter.error}`);
  return filter;
}
