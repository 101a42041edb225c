// SPDX-License-Identifier: Apache-2.0
/*
 * `controller destination`: discovery for proxies (control-contract §1), with the reference's flags (§1.1).
 */
import { hostname } from 'node:os';
import { Option, type Command } from 'commander';
import {
  createDestinationService,
  startExternalEndpoints,
  parseHttp2ClientParams,
  parseTransportMode,
  type DestinationOptions,
} from '@weft/destination';
import type { MetricFactory } from '@weft/grpc-server';
import { destination } from '@weft/proto';
import type { ResourceKind } from '@weft/resources';
import { promMetricFactory } from '@weft/telemetry/prom';
import { runComponent, SHUTDOWN_GRACE_MS, type Component, type ComponentFrame } from '../component.ts';
import { parseInteger, parseListenAddress, type ListenAddress } from '../flags.ts';
import { createServer, listenGrpc } from '../grpc.ts';
import { openSource } from '../resource-source.ts';
import { addCommonOptions, booleanOption, createControllerLogger, type CommonValues } from './common-options.ts';

interface DestinationValues extends CommonValues {
  readonly addr: ListenAddress;
  readonly metricsAddr: ListenAddress;
  readonly controllerNamespace: string;
  readonly outboundTransportMode: string;
  readonly enableH2Upgrade: boolean;
  readonly enableEndpointSlices: boolean;
  readonly enableIpv6: boolean;
  readonly identityTrustDomain: string;
  readonly clusterDomain: string;
  readonly defaultOpaquePorts: string;
  readonly meshedHttp2ClientParams: string;
  readonly streamQueueCapacity: number;
  readonly extEndpointZoneWeights: boolean;
}

/** Flags that mean nothing here. */
const ACCEPTED = ['export-queue-metrics', 'enable-pprof', 'trace-collector', 'kube-apiclient-qps', 'kube-apiclient-burst'];

/** Options and action of the sub-command. */
export function configureDestination(command: Command, onExit: (code: number) => void): void {
  addCommonOptions(command, ACCEPTED)
    .addOption(
      new Option('--addr <address>', 'address to serve on').argParser(parseListenAddress).default(parseListenAddress(':8086'), ':8086'),
    )
    .addOption(
      new Option('--metrics-addr <address>', 'address of the admin server')
        .argParser(parseListenAddress)
        .default(parseListenAddress(':9996'), ':9996'),
    )
    .addOption(new Option('--controller-namespace <name>', 'namespace of the control plane').default('linkerd'))
    .addOption(new Option('--outbound-transport-mode <mode>', 'transparent or transport-header').default('transport-header'))
    .addOption(booleanOption('enable-h2-upgrade', 'carry HTTP/1 between proxies over HTTP/2', true))
    .addOption(booleanOption('enable-endpoint-slices', 'read EndpointSlices instead of Endpoints', true))
    .addOption(booleanOption('enable-ipv6', 'prefer IPv6 addresses', true))
    .addOption(new Option('--identity-trust-domain <domain>', 'trust domain of identities').default(''))
    .addOption(new Option('--cluster-domain <domain>', 'DNS domain of the cluster').default(''))
    .addOption(new Option('--default-opaque-ports <ports>', 'ports that are opaque unless annotated').default(''))
    .addOption(new Option('--meshed-http2-client-params <json>', 'HTTP/2 parameters of proxies towards meshed endpoints').default(''))
    .addOption(
      new Option('--stream-queue-capacity <count>', 'updates that may wait for a slow stream').argParser(parseInteger).default(100),
    )
    .addOption(booleanOption('ext-endpoint-zone-weights', 'weigh endpoints of the same zone more', false))
    .addOption(new Option('--log-level <level>', 'error, warn, info, debug or trace').default('info'))
    .action(async (values: DestinationValues) => {
      const logger = createControllerLogger(values, 'linkerd_destination');
      onExit(
        await runComponent({
          name: 'destination',
          adminAddress: values.metricsAddr,
          logger,
          start: (frame) => startDestination(values, frame),
        }),
      );
    });
}

async function startDestination(values: DestinationValues, { logger, registry }: ComponentFrame): Promise<Component> {
  const options = destinationOptions(values);
  if (values.streamQueueCapacity <= 0) throw new RangeError('--stream-queue-capacity must be greater than zero');
  const metrics = promMetricFactory(registry);
  const { source, isCluster } = await openSource(values, logger, { onLag: informerLag(metrics) });
  const service = createDestinationService({ source, options, log: logger, metrics });
  const externalEndpoints = startExternalEndpoints({
    source,
    log: logger,
    metrics,
    controllerNamespace: values.controllerNamespace,
    holder: process.env['HOSTNAME'] ?? hostname(),
    leaderElection: isCluster ? 'lease' : 'always',
  });
  const server = createServer(registry, logger, values.streamQueueCapacity);
  server.register(destination.Destination, service.handlers);
  await listenGrpc(server, values.addr, logger);
  return {
    get isReady(): boolean {
      return service.isReady;
    },
    failed: service.ready.then(() => new Promise<never>(() => undefined)),
    async close(): Promise<void> {
      // First, so that another replica writes while streams end here.
      await externalEndpoints.close();
      await server.shutdown(SHUTDOWN_GRACE_MS);
      service.close();
      await source.close();
    },
  };
}

/** Kinds whose lag is counted, by plural, with the names that metrics give them (control-contract §1.9). */
const LAGGING: Readonly<Record<string, string>> = {
  endpoints: 'endpoints',
  endpointslices: 'endpointslices',
  services: 'services',
  servers: 'servers',
  pods: 'pods',
  externalworkloads: 'externalworkload',
  serviceprofiles: 'serviceprofiles',
};
const LAG_BUCKETS_SECONDS: readonly number[] = [0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000];

function informerLag(metrics: MetricFactory): (kind: ResourceKind, lagMs: number) => void {
  const histograms = new Map(
    Object.entries(LAGGING).map(([plural, name]) => {
      const help = `Seconds between the writing of a change of ${plural} and its arrival.`;
      return [plural, metrics.histogram(`${name}_informer_lag_seconds`, help, [], LAG_BUCKETS_SECONDS)];
    }),
  );
  return (kind, lagMs) => histograms.get(kind.plural)?.observe({}, lagMs / 1000);
}

function destinationOptions(values: DestinationValues): Partial<DestinationOptions> {
  return {
    controllerNamespace: values.controllerNamespace,
    trustDomain: values.identityTrustDomain,
    clusterDomain: values.clusterDomain,
    transportMode: parseTransportMode(values.outboundTransportMode),
    isH2UpgradeEnabled: values.enableH2Upgrade,
    usesEndpointSlices: values.enableEndpointSlices,
    isIpv6Enabled: values.enableIpv6,
    defaultOpaquePorts: values.defaultOpaquePorts,
    hasZoneWeights: values.extEndpointZoneWeights,
    ...(values.meshedHttp2ClientParams === '' ? {} : { http2ClientParams: parseHttp2ClientParams(values.meshedHttp2ClientParams) }),
  };
}
