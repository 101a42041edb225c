// SPDX-License-Identifier: Apache-2.0
/*
 * What a pod's annotations make of the installation's values (control-contract §4.3, features ANN-01 to ANN-31, INJ-21): the pod's own win
 * over its namespace's, and both over the values. A value that cannot be used changes nothing and becomes a problem for the report: the
 * pod is meshed all the same.
 */
import { goDurationMs } from '@weft/kube-text';
import {
  ADDITIONAL_ENV_ANNOTATION,
  ALPHA_PREFIX,
  BETA_PREFIX,
  CONFIG_PREFIX,
  TELEMETRY_PREFIX,
  WAIT_BEFORE_EXIT_ANNOTATION,
} from './names.ts';
import { mergeEnv, parseAdditionalEnv } from './additional-env.ts';
import {
  isCidr,
  isPortList,
  isPortOrRange,
  listItems,
  MAX_VALUE_LENGTH,
  parseBoolean,
  parseQuantity,
  parseSwitch,
  parseWhole,
} from './formats.ts';
import type { EnvValue, InjectorValues, ProxyInitValues, ProxyValues, ResourceValues } from '../values.ts';

/** An annotation whose value is not honoured. */
export interface AnnotationProblem {
  readonly annotation: string;
  /** What is wrong, without the value. */
  readonly problem: string;
}

export interface OverlayInput {
  readonly values: InjectorValues;
  /** The pod's annotations, those that it inherits included. */
  readonly annotations: ReadonlyMap<string, string>;
  readonly namespaceAnnotations: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
  /** Container ports by name, for `opaque-ports`. */
  readonly namedPorts: ReadonlyMap<string, number>;
}

export interface Overlay {
  readonly values: InjectorValues;
  readonly isDebugEnabled: boolean;
  readonly problems: readonly AnnotationProblem[];
}

const DEFAULT_INBOUND_POLICIES: readonly string[] = [
  'all-unauthenticated',
  'all-authenticated',
  'cluster-unauthenticated',
  'cluster-authenticated',
  'deny',
  'audit',
];
const MAX_PORT = 65_535;
const MAX_ID = 2_147_483_647;

/** Applies the annotations. */
export function overlayAnnotations(input: OverlayInput): Overlay {
  const { values } = input;
  const reader = new AnnotationReader(input.annotations);
  const proxy = overlayProxy(reader, input);
  const proxyInit = overlayProxyInit(reader, values.proxyInit);
  const { debugImage } = values;
  const pullPolicy = reader.checked('image-pull-policy', values.imagePullPolicy, isPullPolicy, 'is none of Always, IfNotPresent and Never');
  return {
    values: {
      ...values,
      imagePullPolicy: pullPolicy,
      debugImage: {
        name: reader.checked('debug-image', debugImage.name, isImageName, 'is not the name of an image'),
        version: reader.checked('debug-image-version', debugImage.version, isImageTag, 'is not an image tag'),
        pullPolicy: reader.checked(
          'debug-image-pull-policy',
          debugImage.pullPolicy,
          isPullPolicy,
          'is none of Always, IfNotPresent and Never',
        ),
      },
      proxy,
      proxyInit,
    },
    isDebugEnabled: reader.boolean('enable-debug-sidecar', false),
    problems: reader.problems,
  };
}

function overlayProxy(reader: AnnotationReader, input: OverlayInput): ProxyValues {
  const { proxy } = input.values;
  const { ports, workers } = proxy;
  const resources = overlayResources(reader, proxy.resources);
  const hasPullPolicy = reader.has('image-pull-policy');
  // Cores follow the annotations that were taken; the values have their own words for them.
  const cores = (name: string, taken: string): number | undefined => {
    const quantity = reader.has(name) ? parseQuantity(taken) : undefined;
    return quantity === undefined ? undefined : Math.max(1, Math.ceil(quantity));
  };
  return {
    ...proxy,
    image: {
      name: reader.checked('proxy-image', proxy.image.name, isImageName, 'is not the name of an image'),
      version: reader.checked('proxy-version', proxy.image.version, isImageTag, 'is not an image tag'),
      pullPolicy: hasPullPolicy ? '' : proxy.image.pullPolicy,
    },
    ports: overlayPorts(reader, ports),
    logLevel: reader.text('proxy-log-level', proxy.logLevel),
    logFormat: reader.checked('proxy-log-format', proxy.logFormat, (text) => /^(plain|json)$/i.test(text), 'is neither plain nor json'),
    logHTTPHeaders: reader.checked(
      'proxy-log-http-headers',
      proxy.logHTTPHeaders,
      (text) => ['insecure', 'off', ''].includes(text),
      'is neither insecure nor off',
    ),
    accessLog: reader.text('access-log', proxy.accessLog),
    workers: {
      minimum: cores('proxy-cpu-request', resources.cpu.request) ?? workers.minimum,
      maximum: cores('proxy-cpu-limit', resources.cpu.limit) ?? workers.maximum,
      maximumCPURatio: reader.parsed('proxy-cpu-ratio-limit', workers.maximumCPURatio, parseRatio, 'is not a number between 0 and 1'),
    },
    resources,
    uid: reader.whole('proxy-uid', proxy.uid, 0, MAX_ID),
    gid: reader.whole('proxy-gid', proxy.gid, 0, MAX_ID),
    waitBeforeExitSeconds: reader.parsedKey(
      WAIT_BEFORE_EXIT_ANNOTATION,
      proxy.waitBeforeExitSeconds,
      (text) => parseWhole(text, 0, MAX_ID),
      'is not a whole number of seconds',
    ),
    await: reader.parsed('proxy-await', proxy.await, parseSwitch, 'is neither enabled nor disabled'),
    nativeSidecar: nativeSidecar(reader, proxy.nativeSidecar),
    requireIdentityOnInboundPorts: reader.text('proxy-require-identity-inbound-ports', proxy.requireIdentityOnInboundPorts),
    opaquePorts: opaquePorts(reader, proxy.opaquePorts, input.namedPorts),
    shutdownGracePeriod: reader.duration('shutdown-grace-period', proxy.shutdownGracePeriod, 'ms'),
    defaultInboundPolicy: reader.checked(
      'default-inbound-policy',
      proxy.defaultInboundPolicy,
      (text) => DEFAULT_INBOUND_POLICIES.includes(text),
      `is none of ${DEFAULT_INBOUND_POLICIES.join(', ')}`,
    ),
    enableShutdownEndpoint: reader.parsed(
      'proxy-admin-shutdown',
      proxy.enableShutdownEndpoint,
      parseSwitch,
      'is neither enabled nor disabled',
    ),
    enableExternalProfiles: reader.boolean('enable-external-profiles', proxy.enableExternalProfiles),
    isGateway: reader.boolean('enable-gateway', proxy.isGateway),
    inboundConnectTimeout: reader.duration('proxy-inbound-connect-timeout', proxy.inboundConnectTimeout, 'ms'),
    outboundConnectTimeout: reader.duration('proxy-outbound-connect-timeout', proxy.outboundConnectTimeout, 'ms'),
    inboundDiscoveryCacheUnusedTimeout: reader.duration(
      'proxy-inbound-discovery-cache-unused-timeout',
      proxy.inboundDiscoveryCacheUnusedTimeout,
      's',
    ),
    outboundDiscoveryCacheUnusedTimeout: reader.duration(
      'proxy-outbound-discovery-cache-unused-timeout',
      proxy.outboundDiscoveryCacheUnusedTimeout,
      's',
    ),
    disableInboundProtocolDetectTimeout: reader.boolean(
      'proxy-disable-inbound-protocol-detect-timeout',
      proxy.disableInboundProtocolDetectTimeout,
    ),
    disableOutboundProtocolDetectTimeout: reader.boolean(
      'proxy-disable-outbound-protocol-detect-timeout',
      proxy.disableOutboundProtocolDetectTimeout,
    ),
    hostnameLabels: reader.boolean('proxy-metrics-hostname-labels', proxy.hostnameLabels),
    tracing: { ...proxy.tracing, labels: { ...proxy.tracing.labels, ...traceLabels(input) } },
    additionalEnv: additionalEnv(reader, input),
  };
}

function overlayProxyInit(reader: AnnotationReader, init: ProxyInitValues): ProxyInitValues {
  const closeWaitTimeoutSecs = reader.parsed(
    'close-wait-timeout',
    init.closeWaitTimeoutSecs,
    secondsOf,
    'is not a duration of a second or more',
  );
  const isAllowed = closeWaitTimeoutSecs === 0 || init.runAsRoot;
  if (!isAllowed) reader.reject(`${CONFIG_PREFIX}close-wait-timeout`, 'needs an installation with proxyInit.runAsRoot');
  return {
    ...init,
    ignoreInboundPorts: reader.checked('skip-inbound-ports', init.ignoreInboundPorts, isPortList, 'is not a list of ports and ranges'),
    ignoreOutboundPorts: reader.checked('skip-outbound-ports', init.ignoreOutboundPorts, isPortList, 'is not a list of ports and ranges'),
    skipSubnets: reader.checked('skip-subnets', init.skipSubnets, (text) => listItems(text).every(isCidr), 'is not a list of CIDRs'),
    closeWaitTimeoutSecs: isAllowed ? closeWaitTimeoutSecs : init.closeWaitTimeoutSecs,
  };
}

/** Four listeners of one proxy need four ports: what would collide is not taken. */
function overlayPorts(reader: AnnotationReader, ports: ProxyValues['ports']): ProxyValues['ports'] {
  const wanted = {
    admin: reader.whole('admin-port', ports.admin, 1, MAX_PORT),
    control: reader.whole('control-port', ports.control, 1, MAX_PORT),
    inbound: reader.whole('inbound-port', ports.inbound, 1, MAX_PORT),
    outbound: reader.whole('outbound-port', ports.outbound, 1, MAX_PORT),
  };
  if (new Set(Object.values(wanted)).size === Object.values(wanted).length) return wanted;
  for (const name of ['admin', 'control', 'inbound', 'outbound'] as const) {
    if (wanted[name] !== ports[name]) reader.reject(`${CONFIG_PREFIX}${name}-port`, 'gives two listeners of the proxy one port');
  }
  return ports;
}

function overlayResources(reader: AnnotationReader, resources: ResourceValues): ResourceValues {
  const pair = (name: string, byDefault: ResourceValues['cpu']): ResourceValues['cpu'] => {
    const limit = reader.checked(`proxy-${name}-limit`, byDefault.limit, isQuantity, 'is not a quantity');
    const request = reader.checked(`proxy-${name}-request`, byDefault.request, isQuantity, 'is not a quantity');
    const isAnnotated = reader.has(`proxy-${name}-limit`) || reader.has(`proxy-${name}-request`);
    if (!isAnnotated || limit === '' || request === '' || Number(parseQuantity(request)) <= Number(parseQuantity(limit)))
      return { request, limit };
    // The API server refuses such a pod. A request that is not given is the limit.
    reader.reject(
      `${CONFIG_PREFIX}proxy-${name}-${reader.has(`proxy-${name}-limit`) ? 'limit' : 'request'}`,
      'makes the request larger than the limit',
    );
    return reader.has(`proxy-${name}-limit`) ? { request: '', limit } : byDefault;
  };
  return {
    cpu: pair('cpu', resources.cpu),
    memory: pair('memory', resources.memory),
    ephemeralStorage: pair('ephemeral-storage', resources.ephemeralStorage),
  };
}

function nativeSidecar(reader: AnnotationReader, byDefault: boolean): boolean {
  const keys = [CONFIG_PREFIX, BETA_PREFIX, ALPHA_PREFIX].map((prefix) => `${prefix}proxy-enable-native-sidecar`);
  for (const key of keys) {
    if (reader.hasKey(key)) return reader.parsedKey(key, byDefault, parseBoolean, 'is neither true nor false');
  }
  return byDefault;
}

/** Ports as numbers and ranges: names of container ports are looked up, unknown ones left out. */
function opaquePorts(reader: AnnotationReader, byDefault: string, namedPorts: ReadonlyMap<string, number>): string {
  if (!reader.has('opaque-ports')) return byDefault;
  const resolved: string[] = [];
  for (const item of listItems(reader.text('opaque-ports', ''))) {
    if (isPortOrRange(item)) resolved.push(item);
    else if (namedPorts.has(item)) resolved.push(String(namedPorts.get(item)));
    else reader.reject(`${CONFIG_PREFIX}opaque-ports`, 'has an item that is neither a port, nor a range, nor the name of a container port');
  }
  return resolved.join(',');
}

function additionalEnv(reader: AnnotationReader, { values, annotations, namespaceAnnotations }: OverlayInput): readonly EnvValue[] {
  const read = (text: string | undefined): readonly EnvValue[] => {
    if (text === undefined) return [];
    const parsed = text.length > MAX_VALUE_LENGTH ? { error: `is longer than ${MAX_VALUE_LENGTH} characters` } : parseAdditionalEnv(text);
    if (!('error' in parsed)) return parsed;
    reader.reject(ADDITIONAL_ENV_ANNOTATION, parsed.error);
    return [];
  };
  const ofNamespace = namespaceAnnotations.get(ADDITIONAL_ENV_ANNOTATION);
  const ofPod = annotations.get(ADDITIONAL_ENV_ANNOTATION);
  return mergeEnv(values.proxy.additionalEnv, read(ofNamespace), ofPod === ofNamespace ? [] : read(ofPod));
}

/** Span attributes of the workload, in the order of precedence of OpenTelemetry's Kubernetes conventions. */
function traceLabels({ annotations, labels }: OverlayInput): Readonly<Record<string, string>> {
  const attributes = new Map<string, string>();
  const name = labels.get('app.kubernetes.io/instance') ?? labels.get('app.kubernetes.io/name');
  if (name !== undefined) attributes.set('service.name', name);
  for (const [key, value] of annotations) {
    // One attribute a line: a value with a line feed would forge others.
    if (key.startsWith(TELEMETRY_PREFIX) && !/[\r\n]/.test(value)) attributes.set(key.slice(TELEMETRY_PREFIX.length), value);
  }
  return Object.fromEntries(attributes);
}

function secondsOf(text: string): number | undefined {
  const durationMs = goDurationMs(text);
  return durationMs === undefined || durationMs < 1_000 ? undefined : Math.floor(durationMs / 1_000);
}

function parseRatio(text: string): number | undefined {
  if (!/^(\d*\.\d{1,15}|\d+)$/.test(text)) return undefined;
  const ratio = Number(text);
  return ratio > 0 && ratio < 1 ? ratio : undefined;
}

const isQuantity = (text: string): boolean => text === '' || parseQuantity(text) !== undefined;
const isPullPolicy = (text: string): boolean => ['', 'Always', 'IfNotPresent', 'Never'].includes(text);
// Loose on purpose, since registries differ; an API server refuses blanks only.
const isImageName = (text: string): boolean => /^[!-~]{1,512}$/.test(text);
const isImageTag = (text: string): boolean => /^[\w][\w.@:+-]{0,255}$/.test(text);

/** Reads configuration annotations and collects what cannot be read. */
class AnnotationReader {
  readonly problems: AnnotationProblem[] = [];
  private readonly annotations: ReadonlyMap<string, string>;

  constructor(annotations: ReadonlyMap<string, string>) {
    this.annotations = annotations;
  }

  has(name: string): boolean {
    return this.hasKey(CONFIG_PREFIX + name);
  }

  hasKey(key: string): boolean {
    return this.annotations.has(key);
  }

  reject(annotation: string, problem: string): void {
    if (!this.problems.some((one) => one.annotation === annotation)) this.problems.push({ annotation, problem });
  }

  text(name: string, byDefault: string): string {
    return this.checked(name, byDefault, () => true, '');
  }

  checked(name: string, byDefault: string, isGood: (text: string) => boolean, problem: string): string {
    return this.parsed(name, byDefault, (text) => (isGood(text) ? text : undefined), problem);
  }

  boolean(name: string, byDefault: boolean): boolean {
    return this.parsed(name, byDefault, parseBoolean, 'is neither true nor false');
  }

  whole(name: string, byDefault: number, min: number, max: number): number {
    return this.parsed(name, byDefault, (text) => parseWhole(text, min, max), `is not a whole number from ${min} to ${max}`);
  }

  /** A duration in the unit that the proxy is given. */
  duration(name: string, byDefault: string, unit: 'ms' | 's'): string {
    const inUnit = (text: string): string | undefined => {
      const durationMs = goDurationMs(text);
      if (durationMs === undefined) return undefined;
      const count = Math.floor(durationMs / (unit === 's' ? 1_000 : 1));
      // Rounding something down to nothing would switch off what was to be shortened.
      return count === 0 && durationMs > 0 ? undefined : `${count}${unit}`;
    };
    return this.parsed(name, byDefault, inUnit, `is not a duration of whole ${unit === 's' ? 'seconds' : 'milliseconds'}`);
  }

  parsed<T>(name: string, byDefault: T, parse: (text: string) => T | undefined, problem: string): T {
    return this.parsedKey(CONFIG_PREFIX + name, byDefault, parse, problem);
  }

  parsedKey<T>(key: string, byDefault: T, parse: (text: string) => T | undefined, problem: string): T {
    const text = this.annotations.get(key);
    if (text === undefined) return byDefault;
    if (text.length > MAX_VALUE_LENGTH) {
      this.reject(key, `is longer than ${MAX_VALUE_LENGTH} characters`);
      return byDefault;
    }
    const value = parse(text);
    if (value !== undefined) return value;
    this.reject(key, problem);
    return byDefault;
  }
}
