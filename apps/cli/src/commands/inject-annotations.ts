// SPDX-License-Identifier: Apache-2.0
/* The configuration annotations that flags of `inject` stand for (features CLI-22; control-contract §4.3). */
import { InvalidArgumentError, type Command } from 'commander';
import { goDurationMs } from '@weft/kube-text';
import { CommandFailure } from '../command-context.ts';
import { addValueFlags, INBOUND_POLICIES, PROXY_FLAGS, valuesOfFlags, type ValueFlag, REGISTRY_VARIABLE } from '../install/value-flags.ts';

const CONFIG = 'config.linkerd.io/';

/** What each value of an installation is called as an annotation. */
const ANNOTATIONS_OF_VALUES: Readonly<Record<string, string>> = {
  imagePullPolicy: 'image-pull-policy',
  'proxy.enableExternalProfiles': 'enable-external-profiles',
  'proxy.gid': 'proxy-gid',
  'proxy.image.name': 'proxy-image',
  'proxy.image.version': 'proxy-version',
  'proxy.logLevel': 'proxy-log-level',
  'proxy.ports.admin': 'admin-port',
  'proxy.ports.control': 'control-port',
  'proxy.ports.inbound': 'inbound-port',
  'proxy.ports.outbound': 'outbound-port',
  'proxy.resources.cpu.limit': 'proxy-cpu-limit',
  'proxy.resources.cpu.request': 'proxy-cpu-request',
  'proxy.resources.memory.limit': 'proxy-memory-limit',
  'proxy.resources.memory.request': 'proxy-memory-request',
  'proxy.uid': 'proxy-uid',
  'proxyInit.ignoreInboundPorts': 'skip-inbound-ports',
  'proxyInit.ignoreOutboundPorts': 'skip-outbound-ports',
};

/** Flags whose value is an annotation as it is. */
const OWN_FLAGS: readonly (readonly [flags: string, description: string, annotation: string, read: (text: string) => string])[] = [
  ['--opaque-ports <ports>', 'ports whose traffic is passed on unread; on Services and Namespaces, too', `${CONFIG}opaque-ports`, asItIs],
  [
    '--require-identity-on-inbound-ports <ports>',
    'ports that only meshed clients may use',
    `${CONFIG}proxy-require-identity-inbound-ports`,
    asItIs,
  ],
  ['--close-wait-timeout <duration>', 'nf_conntrack time-out for closed connections', `${CONFIG}close-wait-timeout`, duration],
  [
    '--wait-before-exit-seconds <seconds>',
    'time that the proxy outlives the application',
    'config.alpha.linkerd.io/proxy-wait-before-exit-seconds',
    wholeNumber,
  ],
  ['--default-inbound-policy <policy>', 'what ports admit that no Server selects', `${CONFIG}default-inbound-policy`, policy],
  ['--access-log <format>', 'apache or json', `${CONFIG}access-log`, accessLog],
  ['--shutdown-grace-period <duration>', 'longest time to end connections in', `${CONFIG}shutdown-grace-period`, duration],
];

/** Flags that switch an annotation on. */
const SWITCHES: readonly (readonly [flags: string, description: string, annotation: string])[] = [
  ['--enable-debug-sidecar', 'add a container with network tools', `${CONFIG}enable-debug-sidecar`],
  ['--native-sidecar', 'run the proxy as a native sidecar', `${CONFIG}proxy-enable-native-sidecar`],
];

/** Adds the flags. */
export function addAnnotationFlags(command: Command): Command {
  for (const [flags, description] of SWITCHES) command.option(flags, description);
  for (const [flags, description, , read] of OWN_FLAGS) command.option(flags, description, read);
  addValueFlags(command, PROXY_FLAGS);
  return command.option('--registry <registry>', `registry of the proxy's image; default: $${REGISTRY_VARIABLE}`);
}

/** The annotations of the flags that were given, and what there is to say about them. */
export function annotationsOf(
  command: Command,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly annotations: Record<string, string>; readonly notes: readonly string[] } {
  const options = command.opts<Record<string, unknown>>();
  const annotations: Record<string, string> = {};
  const registry = (options['registry'] as string | undefined) ?? environment[REGISTRY_VARIABLE] ?? '';
  if (registry !== '') annotations[`${CONFIG}proxy-image`] = `${registry.replace(/\/+$/, '')}/proxy`;
  for (const flag of PROXY_FLAGS) {
    const value = valueOfFlag(options, flag);
    if (value === undefined) continue;
    const name = ANNOTATIONS_OF_VALUES[flag.path];
    if (name === undefined) throw new CommandFailure(`${flag.flags} cannot be set for one workload`);
    annotations[`${CONFIG}${name}`] = value;
  }
  for (const [flags, , annotation] of OWN_FLAGS) {
    const value = options[attributeOf(flags)];
    if (typeof value === 'string') annotations[annotation] = value;
  }
  for (const [flags, , annotation] of SWITCHES) if (options[attributeOf(flags)] === true) annotations[annotation] = 'true';
  return { annotations, notes: valuesOfFlags(options, PROXY_FLAGS).notes };
}

function valueOfFlag(options: Readonly<Record<string, unknown>>, { flags }: ValueFlag): string | undefined {
  const given = options[attributeOf(flags)];
  if (typeof given === 'string') return given;
  return given === true ? 'true' : undefined;
}

/** `--skip-inbound-ports <ports>` → `skipInboundPorts`, as commander names it. */
function attributeOf(flags: string): string {
  const long = /--([a-z-]+)/.exec(flags)?.[1] ?? '';
  return long.replaceAll(/-([a-z])/g, (_whole, letter: string) => letter.toUpperCase());
}

function asItIs(text: string): string {
  return text;
}

function wholeNumber(text: string): string {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('expected a whole number.');
  return text;
}

function duration(text: string): string {
  if (goDurationMs(text) === undefined) throw new InvalidArgumentError('expected a duration such as 30s.');
  return text;
}

function policy(text: string): string {
  if (!INBOUND_POLICIES.includes(text)) throw new InvalidArgumentError(`expected one of ${INBOUND_POLICIES.join(', ')}.`);
  return text;
}

function accessLog(text: string): string {
  if (text !== 'apache' && text !== 'json') throw new InvalidArgumentError('expected apache or json.');
  return text;
}
