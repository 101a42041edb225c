// SPDX-License-Identifier: Apache-2.0
/*
 * Flags that stand for values of the chart (features CLI-11 to CLI-13). One table: the flag, what it says, and which value it sets. Only
 * flags that were given are applied, so that the chart keeps its own defaults.
 */
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Data, Dictionary } from '@weft/chart';
import { goDurationMs, quantityValue } from '@weft/kube-text';
import { applySet } from './set-flags.ts';

/** One flag. */
export interface ValueFlag {
  /** As in the help: `--name <value>`, or `--name` for a switch. */
  readonly flags: string;
  readonly description: string;
  /** Dotted path of the value. */
  readonly path: string;
  readonly read?: (text: string) => Data;
  /** What a switch sets; default true. */
  readonly sets?: Data;
  readonly choices?: readonly string[];
  /** Told on use; the flag still works. */
  readonly isDeprecated?: boolean;
}

/** Default inbound policies. */
export const INBOUND_POLICIES: readonly string[] = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
];

const LOG_LEVELS: readonly string[] = ['panic', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'];
const MAX_ID = 4_294_967_294;

function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = /^-?\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= minimum && value <= maximum))
      throw new InvalidArgumentError(`${text} is no whole number from ${minimum} to ${maximum}.`);
    return value;
  };
}

const port = wholeNumber(1, 65_535);

/** Ports and ranges, comma-separated. */
export function portRanges(text: string): string {
  for (const item of text.split(',')) {
    const [from, to = from, rest] = item.trim().split('-');
    if (!/^\d+$/.test(from ?? '') || !/^\d+$/.test(to ?? '') || rest !== undefined || port(from as string) > port(to as string)) {
      throw new InvalidArgumentError(`${JSON.stringify(item)} is neither a port nor a range of ports such as 3000-3010.`);
    }
  }
  return text;
}

/** Ports without ranges: the CNI plugin's configuration lists numbers. */
export function portList(text: string): string {
  for (const item of text.split(',')) port(item.trim());
  return text;
}

/** A quantity of CPU or memory (Kubernetes API, Quantity). */
function quantity(text: string): string {
  if ((quantityValue(text) ?? -1) < 0) throw new InvalidArgumentError(`${text} is no quantity such as 100m or 250Mi.`);
  return text;
}

/** A duration of Go: `24h0m0s`, `500ms`. */
function goDuration(text: string): string {
  if (goDurationMs(text) === undefined) throw new InvalidArgumentError(`${text} is no duration such as 20s or 24h0m0s.`);
  return text;
}

/** Flags of the proxy, for install, upgrade and inject (CLI-13). */
export const PROXY_FLAGS: readonly ValueFlag[] = [
  { flags: '--proxy-image <image>', description: 'image of the proxy', path: 'proxy.image.name' },
  { flags: '-v, --proxy-version <tag>', description: 'version of the proxy (deprecated)', path: 'proxy.image.version', isDeprecated: true },
  {
    flags: '--image-pull-policy <policy>',
    description: 'pull policy of the images',
    path: 'imagePullPolicy',
    choices: ['Always', 'IfNotPresent', 'Never'],
  },
  { flags: '--proxy-log-level <level>', description: 'log level of the proxy', path: 'proxy.logLevel' },
  { flags: '--control-port <port>', description: 'control port of the proxy', path: 'proxy.ports.control', read: port },
  { flags: '--admin-port <port>', description: 'admin port of the proxy', path: 'proxy.ports.admin', read: port },
  { flags: '--inbound-port <port>', description: 'inbound port of the proxy', path: 'proxy.ports.inbound', read: port },
  { flags: '--outbound-port <port>', description: 'outbound port of the proxy', path: 'proxy.ports.outbound', read: port },
  {
    flags: '--proxy-cpu-request <quantity>',
    description: 'CPU that the proxy asks for',
    path: 'proxy.resources.cpu.request',
    read: quantity,
  },
  { flags: '--proxy-cpu-limit <quantity>', description: 'most CPU of the proxy', path: 'proxy.resources.cpu.limit', read: quantity },
  {
    flags: '--proxy-memory-request <quantity>',
    description: 'memory that the proxy asks for',
    path: 'proxy.resources.memory.request',
    read: quantity,
  },
  {
    flags: '--proxy-memory-limit <quantity>',
    description: 'most memory of the proxy',
    path: 'proxy.resources.memory.limit',
    read: quantity,
  },
  { flags: '--proxy-uid <uid>', description: 'user id of the proxy', path: 'proxy.uid', read: wholeNumber(0, MAX_ID) },
  { flags: '--proxy-gid <gid>', description: 'group id of the proxy; negative: none', path: 'proxy.gid', read: wholeNumber(-1, MAX_ID) },
  {
    flags: '--skip-inbound-ports <ports>',
    description: 'inbound ports that bypass the proxy',
    path: 'proxyInit.ignoreInboundPorts',
    read: portRanges,
  },
  {
    flags: '--skip-outbound-ports <ports>',
    description: 'outbound ports that bypass the proxy',
    path: 'proxyInit.ignoreOutboundPorts',
    read: portRanges,
  },
  {
    flags: '--enable-external-profiles',
    description: 'look up service profiles of names outside the cluster',
    path: 'proxy.enableExternalProfiles',
  },
];

/** Flags of the control plane (CLI-12), for install and upgrade. */
export const CONTROL_PLANE_FLAGS: readonly ValueFlag[] = [
  {
    flags: '--controller-replicas <count>',
    description: 'replicas of each component',
    path: 'controllerReplicas',
    read: wholeNumber(1, 1000),
  },
  { flags: '--controller-uid <uid>', description: 'user id of the control plane', path: 'controllerUID', read: wholeNumber(0, MAX_ID) },
  {
    flags: '--controller-gid <gid>',
    description: 'group id of the control plane; negative: none',
    path: 'controllerGID',
    read: wholeNumber(-1, MAX_ID),
  },
  {
    flags: '--controller-log-level <level>',
    description: 'log level of the control plane',
    path: 'controllerLogLevel',
    choices: LOG_LEVELS,
  },
  { flags: '--disable-h2-upgrade', description: 'do not carry HTTP/1 between proxies over HTTP/2', path: 'enableH2Upgrade', sets: false },
  { flags: '--disable-heartbeat', description: 'leave the heartbeat out', path: 'disableHeartBeat' },
  { flags: '--enable-endpoint-slices', description: 'read EndpointSlices (as by default)', path: 'enableEndpointSlices' },
  {
    flags: '--default-inbound-policy <policy>',
    description: 'policy for ports that no Server selects',
    path: 'proxy.defaultInboundPolicy',
    choices: INBOUND_POLICIES,
  },
  {
    flags: '--identity-issuance-lifetime <duration>',
    description: "lifetime of a proxy's certificate",
    path: 'identity.issuer.issuanceLifetime',
    read: goDuration,
  },
  {
    flags: '--identity-clock-skew-allowance <duration>',
    description: 'allowed difference between clocks',
    path: 'identity.issuer.clockSkewAllowance',
    read: goDuration,
  },
];

/** Flags that only an installation can set: they cannot change afterwards. */
export const INSTALL_ONLY_FLAGS: readonly ValueFlag[] = [
  { flags: '--cluster-domain <domain>', description: 'DNS domain of the cluster', path: 'clusterDomain' },
  {
    flags: '--identity-trust-domain <domain>',
    description: 'trust domain of the identities; default: the cluster domain',
    path: 'identityTrustDomain',
  },
  { flags: '--linkerd-cni-enabled', description: 'the CNI plugin sets up the network of pods', path: 'cniEnabled' },
  {
    flags: '--identity-external-issuer',
    description: 'the issuer is a Secret that something else looks after',
    path: 'identity.issuer.scheme',
    sets: 'kubernetes.io/tls',
  },
  { flags: '--identity-external-ca', description: 'trust anchors come from outside too', path: 'identity.externalCA' },
];

/** Flags of the CNI plugin (CLI-21). */
export const CNI_FLAGS: readonly ValueFlag[] = [
  { flags: '--dest-cni-bin-dir <directory>', description: "directory of the nodes' CNI programs", path: 'destCNIBinDir' },
  { flags: '--dest-cni-net-dir <directory>', description: "directory of the nodes' CNI configuration", path: 'destCNINetDir' },
  { flags: '--cni-image <image>', description: 'image of the plugin', path: 'image.name' },
  { flags: '--cni-image-version <tag>', description: 'version of that image', path: 'image.version' },
  { flags: '--cni-log-level <level>', description: 'log level of the plugin', path: 'logLevel', choices: LOG_LEVELS },
  {
    flags: '--image-pull-policy <policy>',
    description: 'pull policy of the image',
    path: 'image.pullPolicy',
    choices: ['Always', 'IfNotPresent', 'Never'],
  },
  { flags: '--priority-class-name <name>', description: 'priority class of the DaemonSet', path: 'priorityClassName' },
  {
    flags: '--redirect-ports <ports>',
    description: 'only these inbound ports go through the proxy',
    path: 'portsToRedirect',
    read: portList,
  },
  {
    flags: '--skip-inbound-ports <ports>',
    description: 'inbound ports that bypass the proxy',
    path: 'ignoreInboundPorts',
    read: portRanges,
  },
  {
    flags: '--skip-outbound-ports <ports>',
    description: 'outbound ports that bypass the proxy',
    path: 'ignoreOutboundPorts',
    read: portRanges,
  },
  { flags: '--inbound-port <port>', description: 'inbound port of the proxies', path: 'inboundProxyPort', read: port },
  { flags: '--outbound-port <port>', description: 'outbound port of the proxies', path: 'outboundProxyPort', read: port },
  { flags: '--admin-port <port>', description: 'admin port of the proxies', path: 'proxyAdminPort', read: port },
  { flags: '--control-port <port>', description: 'control port of the proxies', path: 'proxyControlPort', read: port },
  { flags: '--proxy-uid <uid>', description: 'user id of the proxies', path: 'proxyUID', read: wholeNumber(0, MAX_ID) },
  { flags: '--proxy-gid <gid>', description: 'group id of the proxies; negative: none', path: 'proxyGID', read: wholeNumber(-1, MAX_ID) },
  { flags: '--use-wait-flag', description: 'wait for the lock of iptables', path: 'useWaitFlag' },
];

/** Adds flags to a command. */
export function addValueFlags(command: Command, table: readonly ValueFlag[]): void {
  for (const { flags, description, read, choices } of table) {
    const option = new Option(flags, description);
    if (choices !== undefined) option.choices(choices);
    // Read again later, into values: here only to refuse what is no value.
    else if (read !== undefined) option.argParser((text) => (read(text), text));
    command.addOption(option);
  }
}

/** The values of the flags that were given, and what there is to say about them. */
export function valuesOfFlags(
  options: Readonly<Record<string, unknown>>,
  table: readonly ValueFlag[],
): { readonly values: Dictionary; readonly notes: readonly string[] } {
  const values: Dictionary = {};
  const notes: string[] = [];
  for (const flag of table) {
    const option = new Option(flag.flags);
    const given = options[option.attributeName()];
    if (given === undefined) continue;
    if (flag.isDeprecated === true) notes.push(`${option.long} is deprecated; use --set ${flag.path}=…`);
    const value: Data = typeof given === 'string' ? (flag.read?.(given) ?? given) : (flag.sets ?? true);
    applySet(values, `${flag.path}=x`, () => value);
  }
  return { values, notes };
}

/** Images of the charts, by the value that names them; the registry is what stands before the last slash. */
const IMAGE_PATHS: readonly string[] = ['controllerImage', 'proxy.image.name', 'debugContainer.image.name'];
/** Environment variable that names another registry (CLI-06). */
export const REGISTRY_VARIABLE = 'LINKERD_DOCKER_REGISTRY';

/** Values that take the chart's images from another registry. */
export function registryValues(registry: string, defaults: Dictionary, paths: readonly string[] = IMAGE_PATHS): Dictionary {
  const values: Dictionary = {};
  for (const path of paths) {
    const image = path.split('.').reduce<Data | undefined>((value, name) => (value as Dictionary | undefined)?.[name], defaults);
    if (typeof image !== 'string') continue;
    applySet(values, `${path}=x`, () => `${registry.replace(/\/+$/, '')}/${image.slice(image.lastIndexOf('/') + 1)}`);
  }
  return values;
}
