// SPDX-License-Identifier: Apache-2.0
/*
 * The installation's values as far as injection needs them (control-contract §6.5), from key `values` of ConfigMap `linkerd-config`. Names
 * and defaults are those of the chart; a value of the wrong type is an operator's mistake and named by its path. Unknown values are the
 * business of others.
 */
import { isCidr, listItems } from './annotations/formats.ts';
import { objectOf, type JsonObject } from './json-object.ts';

/** Requests and limits of the proxy; '' is unset. */
export interface ResourceValues {
  readonly cpu: { readonly request: string; readonly limit: string };
  readonly memory: { readonly request: string; readonly limit: string };
  readonly ephemeralStorage: { readonly request: string; readonly limit: string };
}

/** An image; `version` '' is the installation's own. `pullPolicy` '' is the installation's default. */
export interface ImageValues {
  readonly name: string;
  readonly version: string;
  readonly pullPolicy: string;
}

/** One environment variable as a user wrote it. */
export interface EnvValue {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: unknown;
}

export interface TracingValues {
  readonly enabled: boolean;
  readonly traceServiceName: string;
  readonly protocol: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly collector: {
    readonly endpoint: string;
    readonly meshIdentity: { readonly serviceAccountName: string; readonly namespace: string };
  };
}

/** Values of the proxy container. */
export interface ProxyValues {
  readonly image: ImageValues;
  readonly ports: { readonly admin: number; readonly control: number; readonly inbound: number; readonly outbound: number };
  readonly logLevel: string;
  readonly logFormat: string;
  readonly logHTTPHeaders: string;
  readonly accessLog: string;
  readonly cores: number | undefined;
  readonly workers: { readonly minimum: number; readonly maximum: number | undefined; readonly maximumCPURatio: number | undefined };
  readonly resources: ResourceValues;
  readonly uid: number;
  /** Negative is unset. */
  readonly gid: number;
  /** Replaces the whole security context when it has members. */
  readonly securityContext: JsonObject;
  readonly waitBeforeExitSeconds: number;
  readonly await: boolean;
  readonly nativeSidecar: boolean;
  readonly requireIdentityOnInboundPorts: string;
  readonly requireTLSOnInboundPorts: string;
  readonly opaquePorts: string;
  readonly shutdownGracePeriod: string;
  readonly defaultInboundPolicy: string;
  readonly enableShutdownEndpoint: boolean;
  readonly enableExternalProfiles: boolean;
  readonly isGateway: boolean;
  readonly isIngress: boolean;
  readonly inboundConnectTimeout: string;
  readonly outboundConnectTimeout: string;
  readonly inboundDiscoveryCacheUnusedTimeout: string;
  readonly outboundDiscoveryCacheUnusedTimeout: string;
  readonly disableInboundProtocolDetectTimeout: boolean;
  readonly disableOutboundProtocolDetectTimeout: boolean;
  readonly hostnameLabels: boolean;
  readonly streams: { readonly initialTimeout: string; readonly idleTimeout: string; readonly lifetime: string };
  readonly inboundKeepAlive: { readonly interval: string; readonly timeout: string };
  readonly outboundKeepAlive: { readonly interval: string; readonly timeout: string };
  readonly livenessProbe: JsonObject;
  readonly readinessProbe: JsonObject;
  readonly startupProbe: JsonObject;
  readonly tracing: TracingValues;
  readonly additionalEnv: readonly EnvValue[];
  readonly experimentalEnv: readonly EnvValue[];
}

/** Values of the init container. */
export interface ProxyInitValues {
  readonly iptablesMode: string;
  readonly ignoreInboundPorts: string;
  readonly ignoreOutboundPorts: string;
  readonly skipSubnets: string;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly closeWaitTimeoutSecs: number;
  readonly privileged: boolean;
  readonly runAsRoot: boolean;
  readonly runAsUser: number;
  readonly runAsGroup: number;
  readonly xtMountPath: { readonly name: string; readonly mountPath: string; readonly readOnly: boolean };
}

/** Values of the network validator. `connectAddr`, `listenAddr` '' are chosen by the address families in use. */
export interface NetworkValidatorValues {
  readonly connectAddr: string;
  readonly listenAddr: string;
  readonly logLevel: string;
  readonly logFormat: string;
  readonly timeout: string;
  readonly securityContext: JsonObject;
}

/** Everything that injection reads of the values. */
export interface InjectorValues {
  readonly clusterDomain: string;
  readonly clusterNetworks: string;
  readonly disableIPv6: boolean;
  readonly cniEnabled: boolean;
  readonly imagePullPolicy: string;
  readonly linkerdVersion: string;
  readonly identityTrustDomain: string;
  readonly serviceAccountTokenProjection: boolean;
  /** Whether the account of `weft tap` may tap injected proxies. */
  readonly tapEnabled: boolean;
  readonly debugImage: ImageValues;
  readonly proxy: ProxyValues;
  readonly proxyInit: ProxyInitValues;
  readonly networkValidator: NetworkValidatorValues;
}

/** The values cannot be used; the message names the path. */
export class InjectorValuesError extends Error {
  readonly path: string;

  constructor(path: string, problem: string) {
    super(`values: ${path} ${problem}`);
    this.name = 'InjectorValuesError';
    this.path = path;
  }
}

/** Registry of the images. */
const REGISTRY = 'ghcr.io/weft-mesh';
const DEFAULT_OPAQUE_PORTS = '25,587,3306,4444,5432,6379,9300,11211';
const DEFAULT_NETWORKS = '10.0.0.0/8,100.64.0.0/10,172.16.0.0/12,192.168.0.0/16,fd00::/8';
/** Nobody, of every distribution. */
const NOBODY = 65_534;
const VALIDATOR_SECURITY_CONTEXT: JsonObject = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
  runAsGroup: NOBODY,
  runAsNonRoot: true,
  runAsUser: NOBODY,
  seccompProfile: { type: 'RuntimeDefault' },
};

/** Reads parsed YAML. Throws InjectorValuesError. */
export function readInjectorValues(values: unknown): InjectorValues {
  const root = new ValueReader(values, '');
  const linkerdVersion = root.text('linkerdVersion', '');
  const clusterNetworks = root.text('clusterNetworks', DEFAULT_NETWORKS);
  if (!listItems(clusterNetworks).every(isCidr)) throw new InjectorValuesError('clusterNetworks', 'is not a list of CIDRs');
  const clusterDomain = root.text('clusterDomain', 'cluster.local');
  const iptablesMode = root.in('proxyInit').text('iptablesMode', 'nft');
  if (iptablesMode !== 'nft' && iptablesMode !== 'legacy') {
    throw new InjectorValuesError('proxyInit.iptablesMode', `is ${JSON.stringify(iptablesMode)}, neither nft nor legacy`);
  }
  return {
    clusterDomain,
    clusterNetworks,
    disableIPv6: root.boolean('disableIPv6', true),
    cniEnabled: root.boolean('cniEnabled', false),
    imagePullPolicy: root.text('imagePullPolicy', 'IfNotPresent'),
    linkerdVersion,
    identityTrustDomain: root.text('identityTrustDomain', '') || clusterDomain,
    serviceAccountTokenProjection: root.in('identity').boolean('serviceAccountTokenProjection', true),
    tapEnabled: root.in('tap').boolean('enabled', false),
    debugImage: readImage(root.in('debugContainer').in('image'), `${REGISTRY}/debug`, linkerdVersion),
    proxy: readProxy(root.in('proxy'), linkerdVersion),
    proxyInit: readProxyInit(root.in('proxyInit'), iptablesMode),
    networkValidator: readValidator(root.in('networkValidator')),
  };
}

function readProxy(proxy: ValueReader, linkerdVersion: string): ProxyValues {
  const [ports, workers, server] = [
    proxy.in('ports'),
    proxy.in('runtime').in('workers'),
    (side: string): ValueReader => proxy.in(side).in('server').in('http2'),
  ];
  const keepAlive = (side: string): { interval: string; timeout: string } => ({
    interval: server(side).text('keepAliveInterval', '10s'),
    timeout: server(side).text('keepAliveTimeout', '3s'),
  });
  const logHTTPHeaders = proxy.text('logHTTPHeaders', 'off');
  if (!['insecure', 'off', ''].includes(logHTTPHeaders))
    throw new InjectorValuesError('proxy.logHTTPHeaders', 'is neither insecure nor off');
  const streams = proxy.in('control').in('streams');
  return {
    image: readImage(proxy.in('image'), `${REGISTRY}/proxy`, linkerdVersion),
    ports: {
      admin: ports.number('admin', 4191),
      control: ports.number('control', 4190),
      inbound: ports.number('inbound', 4143),
      outbound: ports.number('outbound', 4140),
    },
    logLevel: proxy.text('logLevel', 'warn,linkerd=info,hickory=error'),
    logFormat: proxy.text('logFormat', 'plain'),
    logHTTPHeaders,
    accessLog: proxy.text('accessLog', ''),
    cores: proxy.optionalNumber('cores'),
    workers: {
      minimum: workers.number('minimum', 1),
      maximum: workers.optionalNumber('maximum'),
      maximumCPURatio: workers.optionalNumber('maximumCPURatio'),
    },
    resources: readResources(proxy.in('resources')),
    uid: proxy.number('uid', 2102),
    gid: proxy.number('gid', -1),
    securityContext: proxy.object('securityContext'),
    waitBeforeExitSeconds: proxy.number('waitBeforeExitSeconds', 0),
    await: proxy.boolean('await', true),
    nativeSidecar: proxy.boolean('nativeSidecar', true),
    requireIdentityOnInboundPorts: proxy.text('requireIdentityOnInboundPorts', ''),
    requireTLSOnInboundPorts: proxy.text('requireTLSOnInboundPorts', ''),
    opaquePorts: proxy.text('opaquePorts', DEFAULT_OPAQUE_PORTS),
    shutdownGracePeriod: proxy.text('shutdownGracePeriod', ''),
    defaultInboundPolicy: proxy.text('defaultInboundPolicy', 'all-unauthenticated'),
    enableShutdownEndpoint: proxy.boolean('enableShutdownEndpoint', false),
    enableExternalProfiles: proxy.boolean('enableExternalProfiles', false),
    isGateway: proxy.boolean('isGateway', false),
    isIngress: proxy.boolean('isIngress', false),
    inboundConnectTimeout: proxy.text('inboundConnectTimeout', '100ms'),
    outboundConnectTimeout: proxy.text('outboundConnectTimeout', '1000ms'),
    inboundDiscoveryCacheUnusedTimeout: proxy.text('inboundDiscoveryCacheUnusedTimeout', '90s'),
    outboundDiscoveryCacheUnusedTimeout: proxy.text('outboundDiscoveryCacheUnusedTimeout', '5s'),
    disableInboundProtocolDetectTimeout: proxy.boolean('disableInboundProtocolDetectTimeout', false),
    disableOutboundProtocolDetectTimeout: proxy.boolean('disableOutboundProtocolDetectTimeout', false),
    hostnameLabels: proxy.in('metrics').boolean('hostnameLabels', false),
    streams: {
      initialTimeout: streams.text('initialTimeout', '3s'),
      idleTimeout: streams.text('idleTimeout', '5m'),
      lifetime: streams.text('lifetime', '1h'),
    },
    inboundKeepAlive: keepAlive('inbound'),
    outboundKeepAlive: keepAlive('outbound'),
    livenessProbe: { initialDelaySeconds: 10, timeoutSeconds: 1, ...proxy.object('livenessProbe') },
    readinessProbe: { initialDelaySeconds: 2, timeoutSeconds: 1, ...proxy.object('readinessProbe') },
    startupProbe: { initialDelaySeconds: 0, periodSeconds: 1, failureThreshold: 120, ...proxy.object('startupProbe') },
    tracing: readTracing(proxy.in('tracing')),
    additionalEnv: proxy.environment('additionalEnv'),
    experimentalEnv: proxy.environment('experimentalEnv'),
  };
}

function readTracing(tracing: ValueReader): TracingValues {
  const collector = tracing.in('collector');
  const enabled = tracing.boolean('enabled', false);
  const endpoint = collector.text('endpoint', '');
  const identity = collector.in('meshIdentity');
  const meshIdentity = { serviceAccountName: identity.text('serviceAccountName', ''), namespace: identity.text('namespace', '') };
  if (enabled && endpoint === '') throw new InjectorValuesError('proxy.tracing.collector.endpoint', 'is required when tracing is enabled');
  if (enabled && (meshIdentity.serviceAccountName === '' || meshIdentity.namespace === '')) {
    throw new InjectorValuesError('proxy.tracing.collector.meshIdentity', 'needs serviceAccountName and namespace when tracing is enabled');
  }
  const labels = Object.entries(tracing.object('labels')).map(([key, value]) => [key, String(value)]);
  return {
    enabled,
    traceServiceName: tracing.text('traceServiceName', 'linkerd-proxy'),
    protocol: tracing.text('protocol', ''),
    labels: Object.fromEntries(labels) as Record<string, string>,
    collector: { endpoint, meshIdentity },
  };
}

function readProxyInit(proxyInit: ValueReader, iptablesMode: string): ProxyInitValues {
  const lock = proxyInit.in('xtMountPath');
  const closeWaitTimeoutSecs = proxyInit.number('closeWaitTimeoutSecs', 0);
  const runAsRoot = proxyInit.boolean('runAsRoot', false);
  if (closeWaitTimeoutSecs > 0 && !runAsRoot) throw new InjectorValuesError('proxyInit.closeWaitTimeoutSecs', 'needs proxyInit.runAsRoot');
  return {
    iptablesMode,
    ignoreInboundPorts: proxyInit.text('ignoreInboundPorts', '4567,4568'),
    ignoreOutboundPorts: proxyInit.text('ignoreOutboundPorts', '4567,4568'),
    skipSubnets: proxyInit.text('skipSubnets', ''),
    logLevel: proxyInit.text('logLevel', ''),
    logFormat: proxyInit.text('logFormat', ''),
    closeWaitTimeoutSecs,
    privileged: proxyInit.boolean('privileged', false),
    runAsRoot,
    // As in the chart: root is asked for by runAsRoot only.
    runAsUser: proxyInit.number('runAsUser', NOBODY) || NOBODY,
    runAsGroup: proxyInit.number('runAsGroup', NOBODY) || NOBODY,
    xtMountPath: {
      name: lock.text('name', 'linkerd-proxy-init-xtables-lock'),
      mountPath: lock.text('mountPath', '/run'),
      readOnly: lock.boolean('readOnly', false),
    },
  };
}

function readValidator(validator: ValueReader): NetworkValidatorValues {
  const securityContext = validator.object('securityContext');
  return {
    connectAddr: validator.text('connectAddr', ''),
    listenAddr: validator.text('listenAddr', ''),
    logLevel: validator.text('logLevel', 'debug'),
    logFormat: validator.text('logFormat', 'plain'),
    timeout: validator.text('timeout', '10s'),
    securityContext: Object.keys(securityContext).length === 0 ? VALIDATOR_SECURITY_CONTEXT : securityContext,
  };
}

function readImage(image: ValueReader, name: string, version: string): ImageValues {
  return { name: image.text('name', name), version: image.text('version', '') || version, pullPolicy: image.text('pullPolicy', '') };
}

function readResources(resources: ValueReader): ResourceValues {
  const pair = (name: string): { request: string; limit: string } => ({
    request: resources.in(name).text('request', ''),
    limit: resources.in(name).text('limit', ''),
  });
  return { cpu: pair('cpu'), memory: pair('memory'), ephemeralStorage: pair('ephemeral-storage') };
}

/** Reads members of one object by type; null and absent give the default. */
class ValueReader {
  private readonly members: JsonObject;
  private readonly path: string;

  constructor(value: unknown, path: string) {
    if (value !== undefined && value !== null && objectOf(value) !== value)
      throw new InjectorValuesError(path || 'the text', 'is not a map');
    this.members = objectOf(value);
    this.path = path;
  }

  in(name: string): ValueReader {
    return new ValueReader(this.members[name], this.pathOf(name));
  }

  text(name: string, byDefault: string): string {
    const value = this.members[name] ?? byDefault;
    if (typeof value === 'string') return value;
    // YAML reads `25` and `1.5` as numbers where a list of ports or cores was meant.
    if (typeof value === 'number') return String(value);
    throw new InjectorValuesError(this.pathOf(name), 'is not a text');
  }

  number(name: string, byDefault: number): number {
    return this.optionalNumber(name) ?? byDefault;
  }

  optionalNumber(name: string): number | undefined {
    const value = this.members[name];
    if (value === undefined || value === null || value === '') return undefined;
    const number = typeof value === 'string' ? Number(value) : value;
    if (typeof number !== 'number' || !Number.isFinite(number)) throw new InjectorValuesError(this.pathOf(name), 'is not a number');
    return number;
  }

  boolean(name: string, byDefault: boolean): boolean {
    const value = this.members[name] ?? byDefault;
    if (typeof value !== 'boolean') throw new InjectorValuesError(this.pathOf(name), 'is not true or false');
    return value;
  }

  object(name: string): JsonObject {
    return this.in(name).members;
  }

  environment(name: string): readonly EnvValue[] {
    const value = this.members[name] ?? [];
    if (!Array.isArray(value)) throw new InjectorValuesError(this.pathOf(name), 'is not a list');
    return value.map((item, index) => {
      const entry = objectOf(item);
      if (typeof entry['name'] !== 'string' || entry['name'] === '')
        throw new InjectorValuesError(`${this.pathOf(name)}[${index}]`, 'has no name');
      return entry as unknown as EnvValue;
    });
  }

  private pathOf(name: string): string {
    return this.path === '' ? name : `${this.path}.${name}`;
  }
}
