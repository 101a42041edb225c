// SPDX-License-Identifier: Apache-2.0
/*
 * The command line of the init container (proxy-contract §10.1): the reference's flags, since its charts, injectors and CNI
 * configurations pass them. Lists are comma-separated and may be repeated; booleans are `--flag` or `--flag=false`.
 */
import { RedirectError } from './errors.ts';
import { checkOptions, type IptablesMode, type RedirectOptions } from './options.ts';

/** A parsed command line. */
export interface RedirectFlags {
  readonly options: RedirectOptions;
  /** `--simulate` (or `--dry-run`): print the commands, run nothing. */
  readonly isSimulation: boolean;
  readonly logFormat: 'plain' | 'json';
  readonly logLevel: string;
}

const SHORT_FLAGS: ReadonlyMap<string, string> = new Map([
  ['p', 'incoming-proxy-port'],
  ['o', 'outgoing-proxy-port'],
  ['u', 'proxy-uid'],
  ['g', 'proxy-gid'],
  ['r', 'ports-to-redirect'],
  ['w', 'use-wait-flag'],
]);
const BOOLEAN_FLAGS: ReadonlySet<string> = new Set(['simulate', 'dry-run', 'use-wait-flag', 'ipv6']);
const VALUE_FLAGS: ReadonlySet<string> = new Set([
  'incoming-proxy-port',
  'outgoing-proxy-port',
  'proxy-uid',
  'proxy-gid',
  'ports-to-redirect',
  'inbound-ports-to-ignore',
  'outbound-ports-to-ignore',
  'subnets-to-ignore',
  'netns',
  'timeout-close-wait-secs',
  'log-format',
  'log-level',
  'iptables-mode',
  'firewall-bin-path',
  'firewall-save-bin-path',
]);
const LOG_LEVELS: ReadonlySet<string> = new Set(['panic', 'fatal', 'error', 'warn', 'warning', 'info', 'debug', 'trace']);

/** Parses and checks. Throws RedirectError `ERR_REDIRECT_OPTION` naming the flag. */
export function parseRedirectFlags(args: readonly string[]): RedirectFlags {
  const given = collect(args);
  const text = (name: string): string | undefined => given.get(name)?.at(-1);
  const list = (name: string): string[] =>
    (given.get(name) ?? [])
      .flatMap((value) => value.split(','))
      .map((item) => item.trim())
      .filter((item) => item !== '');
  const number = (name: string): number | undefined => {
    const value = text(name);
    if (value === undefined) return undefined;
    if (!/^-?\d{1,10}$/.test(value)) refuse(name, `${value} is not a number`);
    // The reference's way to say "none".
    return value === '-1' ? undefined : Number(value);
  };
  const isOn = (name: string, fallback: boolean): boolean => (given.has(name) ? text(name) === 'true' : fallback);

  const mode = text('iptables-mode');
  if (mode !== undefined && !isMode(mode)) refuse('iptables-mode', `${mode} is not legacy, nft or plain`);
  const logFormat = text('log-format') ?? 'plain';
  if (logFormat !== 'plain' && logFormat !== 'json') refuse('log-format', `${logFormat} is not plain or json`);
  const logLevel = text('log-level') ?? 'info';
  if (!LOG_LEVELS.has(logLevel)) refuse('log-level', `${logLevel} is not one of ${[...LOG_LEVELS].join(', ')}`);

  const options: RedirectOptions = {
    incomingProxyPort: number('incoming-proxy-port') ?? -1,
    outgoingProxyPort: number('outgoing-proxy-port') ?? -1,
    ...optional('proxyUid', number('proxy-uid')),
    ...optional('proxyGid', number('proxy-gid')),
    portsToRedirect: list('ports-to-redirect').map((item) =>
      /^\d{1,5}$/.test(item) ? Number(item) : refuse('ports-to-redirect', `${item} is not a port`),
    ),
    inboundPortsToIgnore: list('inbound-ports-to-ignore'),
    outboundPortsToIgnore: list('outbound-ports-to-ignore'),
    subnetsToIgnore: list('subnets-to-ignore'),
    ...optional('netns', text('netns') === '' ? undefined : text('netns')),
    useWaitFlag: isOn('use-wait-flag', false),
    ...optional('timeoutCloseWaitSecs', number('timeout-close-wait-secs')),
    ipv6: isOn('ipv6', true),
    ...optional('mode', mode),
    ...optional('firewallBinPath', text('firewall-bin-path') === '' ? undefined : text('firewall-bin-path')),
    ...optional('firewallSaveBinPath', text('firewall-save-bin-path') === '' ? undefined : text('firewall-save-bin-path')),
  };
  checkOptions(options);
  return { options, isSimulation: isOn('simulate', false) || isOn('dry-run', false), logFormat, logLevel };
}

/** Values by long name, in the order given. */
function collect(args: readonly string[]): Map<string, string[]> {
  const given = new Map<string, string[]>();
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] as string;
    // The end of flags, as pflag has it; there are no other arguments.
    if (arg === '--' && index === args.length - 1) break;
    const match = /^(?:--([a-z0-9-]+)|-([a-z]))(?:=(.*))?$/s.exec(arg) ?? /^()-([pougr])(.+)$/s.exec(arg);
    if (match === null) throw new RedirectError('ERR_REDIRECT_OPTION', `unexpected argument ${arg}`);
    const name = match[1] === undefined || match[1] === '' ? (SHORT_FLAGS.get(match[2] ?? '') ?? '') : match[1];
    let value: string | undefined = match[3];
    if (BOOLEAN_FLAGS.has(name)) {
      value = goBoolean(value ?? 'true') ?? refuse(name, `${value} is not true or false`);
    } else if (VALUE_FLAGS.has(name)) {
      if (value === undefined) value = args[++index];
      if (value === undefined) refuse(name, 'needs a value');
    } else {
      throw new RedirectError('ERR_REDIRECT_OPTION', `unknown flag ${arg}`);
    }
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  return given;
}

/** `true` or `false` for the words that Go's ParseBool knows. */
function goBoolean(text: string): 'true' | 'false' | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return 'true';
  return /^(0|f|F|FALSE|false|False)$/.test(text) ? 'false' : undefined;
}

function isMode(text: string): text is IptablesMode {
  return text === 'legacy' || text === 'nft' || text === 'plain';
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]?: Value });
}

function refuse(flag: string, reason: string): never {
  throw new RedirectError('ERR_REDIRECT_OPTION', `--${flag}: ${reason}`);
}
