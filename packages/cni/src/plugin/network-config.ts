// SPDX-License-Identifier: Apache-2.0
/*
 * The plugin's configuration as the runtime passes it on standard input (proxy-contract §10.2): our entry of a conflist, with name,
 * version and the result of the plugin before us added.
 */
import type { IptablesMode } from '@weft/redirect';
import { CNI_CODES, CniError } from './cni-error.ts';

/** Versions of the CNI specification that the plugin speaks, oldest first. */
export const CNI_VERSIONS: readonly string[] = ['0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'];
/** What counts when a configuration names no version, as the specification has it. */
const UNNAMED_VERSION = '0.1.0';
/** The specification's annotation capability as containerd and CRI-O implement it. */
export const POD_ANNOTATIONS_CAPABILITY = 'io.kubernetes.cri.pod-annotations';

/** The `linkerd` object, checked. */
export interface RedirectConfig {
  readonly incomingProxyPort: number;
  readonly outgoingProxyPort: number;
  readonly proxyUid: number;
  /** Undefined: no exemption by group. */
  readonly proxyGid: number | undefined;
  readonly portsToRedirect: readonly number[];
  readonly inboundPortsToIgnore: readonly string[];
  readonly outboundPortsToIgnore: readonly string[];
  readonly subnetsToIgnore: readonly string[];
  readonly isSimulation: boolean;
  readonly useWaitFlag: boolean;
  readonly mode: IptablesMode | undefined;
  readonly ipv6: boolean;
}

/** A checked configuration. */
export interface NetworkConfig {
  readonly cniVersion: string;
  readonly logLevel: string;
  /** '' when none is named. */
  readonly kubeconfig: string;
  readonly redirect: RedirectConfig;
  /** The result so far; undefined when the plugin is not chained. */
  readonly prevResult: Readonly<Record<string, unknown>> | undefined;
  /** The pod's annotations, where the runtime gives them. */
  readonly podAnnotations: Readonly<Record<string, string>> | undefined;
}

type JsonObject = Readonly<Record<string, unknown>>;

/** The version that an answer has to name, as far as the input can be read. */
export function versionOf(input: string): string {
  try {
    const parsed: unknown = JSON.parse(input);
    const version = isObject(parsed) ? parsed['cniVersion'] : undefined;
    return typeof version === 'string' && version !== '' ? version : UNNAMED_VERSION;
  } catch {
    return CNI_VERSIONS.at(-1) ?? UNNAMED_VERSION;
  }
}

/** Parses and checks. Throws CniError naming the field. */
export function parseNetworkConfig(input: string): NetworkConfig {
  let root: unknown;
  try {
    root = JSON.parse(input);
  } catch (error) {
    throw new CniError(CNI_CODES.decodingFailure, `the network configuration is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(root)) throw new CniError(CNI_CODES.decodingFailure, 'the network configuration is not an object');
  const cniVersion = versionOf(input);
  if (!CNI_VERSIONS.includes(cniVersion)) {
    throw new CniError(CNI_CODES.incompatibleVersion, `CNI version ${cniVersion} is not supported, only ${CNI_VERSIONS.join(', ')}`);
  }
  const fields = new Fields(objectAt(root, 'linkerd'), 'linkerd.');
  const kubernetes = objectAt(root, 'kubernetes');
  const prevResult = root['prevResult'];
  if (prevResult !== undefined && prevResult !== null && !isObject(prevResult)) refuse('prevResult', 'is not an object');
  return {
    cniVersion,
    logLevel: typeof root['log_level'] === 'string' ? root['log_level'] : 'info',
    kubeconfig: typeof kubernetes['kubeconfig'] === 'string' ? kubernetes['kubeconfig'] : '',
    redirect: {
      incomingProxyPort: fields.number('incoming-proxy-port', 4143),
      outgoingProxyPort: fields.number('outgoing-proxy-port', 4140),
      proxyUid: fields.number('proxy-uid', 2102),
      proxyGid: positive(fields.number('proxy-gid', 0)),
      portsToRedirect: fields.list('ports-to-redirect').map((port) => Number(port)),
      inboundPortsToIgnore: fields.list('inbound-ports-to-ignore'),
      outboundPortsToIgnore: fields.list('outbound-ports-to-ignore'),
      subnetsToIgnore: fields.list('subnets-to-ignore'),
      isSimulation: fields.boolean('simulate', false),
      useWaitFlag: fields.boolean('use-wait-flag', false),
      mode: modeOf(fields.text('iptables-mode')),
      ipv6: fields.boolean('ipv6', true),
    },
    prevResult: isObject(prevResult) ? prevResult : undefined,
    podAnnotations: annotationsOf(root),
  };
}

class Fields {
  private readonly values: JsonObject;
  private readonly prefix: string;

  constructor(values: JsonObject, prefix: string) {
    this.values = values;
    this.prefix = prefix;
  }

  number(name: string, fallback: number): number {
    const value = this.values[name] ?? fallback;
    if (typeof value !== 'number' || !Number.isInteger(value)) refuse(this.prefix + name, 'is not a whole number');
    return value;
  }

  boolean(name: string, fallback: boolean): boolean {
    const value = this.values[name] ?? fallback;
    if (typeof value !== 'boolean') refuse(this.prefix + name, 'is not true or false');
    return value;
  }

  text(name: string): string {
    const value = this.values[name] ?? '';
    if (typeof value !== 'string') refuse(this.prefix + name, 'is not a text');
    return value;
  }

  /** Texts or numbers; templates have written both. */
  list(name: string): string[] {
    const value = this.values[name] ?? [];
    if (!Array.isArray(value)) refuse(this.prefix + name, 'is not a list');
    const items = value.map((item: unknown) =>
      typeof item === 'string' || typeof item === 'number'
        ? String(item).trim()
        : refuse(this.prefix + name, 'holds something else than ports'),
    );
    return items.filter((item) => item !== '');
  }
}

function annotationsOf(root: JsonObject): Readonly<Record<string, string>> | undefined {
  const given = objectAt(root, 'runtimeConfig')[POD_ANNOTATIONS_CAPABILITY];
  if (!isObject(given)) return undefined;
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

function modeOf(text: string): IptablesMode | undefined {
  if (text === '') return undefined;
  if (text !== 'nft' && text !== 'legacy' && text !== 'plain')
    refuse('linkerd.iptables-mode', `${JSON.stringify(text)} is not nft, legacy or plain`);
  return text;
}

/** The reference's way to say "none" is 0 or -1. */
function positive(value: number): number | undefined {
  return value > 0 ? value : undefined;
}

function objectAt(root: JsonObject, field: string): JsonObject {
  const value = root[field];
  if (value === undefined || value === null) return {};
  return isObject(value) ? value : refuse(field, 'is not an object');
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function refuse(field: string, reason: string): never {
  throw new CniError(CNI_CODES.invalidNetworkConfig, `the network configuration's ${field} ${reason}`);
}
