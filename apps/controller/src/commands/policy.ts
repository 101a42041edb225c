// SPDX-License-Identifier: Apache-2.0
/*
 * `controller policy`: inbound and outbound policy for proxies and the status of routes (control-contract §3), with the reference's arguments
 * (§3.1), and the webhook that reviews policies and routes (§3.5). Its readiness is that of the policies: a webhook without certificate must
 * not take discovery down with it, whose pod it shares.
 */
import { hostname } from 'node:os';
import { basename, dirname } from 'node:path';
import { Option, type Command } from 'commander';
import { reviewPolicy } from '@weft/admission';
import { createPolicyController, DEFAULT_OPTIONS, parseDefaultPolicy, type PolicyControllerOptions } from '@weft/policy-controller';
import { inbound, outbound } from '@weft/proto';
import type { ResourceSource } from '@weft/resources';
import { promMetricFactory } from '@weft/telemetry/prom';
import { CERTIFICATE_FILE, PRIVATE_KEY_FILE } from '@weft/webhook';
import { runComponent, SHUTDOWN_GRACE_MS, type Component, type ComponentFrame } from '../component.ts';
import { parseInteger, parseList, parseListenAddress, type ListenAddress } from '../flags.ts';
import { createServer, listenGrpc } from '../grpc.ts';
import { openSource } from '../resource-source.ts';
import {
  addWebhookOptions,
  managedWebhook,
  openCertificate,
  startWebhook,
  type CertificateOrigin,
  type Webhook,
  type WebhookValues,
} from '../webhook.ts';
import { addCommonOptions, booleanOption, createPolicyLogger, type CommonValues } from './common-options.ts';

interface PolicyValues extends CommonValues, WebhookValues {
  readonly adminAddr: ListenAddress;
  readonly grpcAddr: ListenAddress;
  readonly serverAddr: ListenAddress;
  readonly serverTlsKey: string | undefined;
  readonly serverTlsCerts: string | undefined;
  readonly admissionControllerDisabled: boolean;
  readonly clusterNetworks: readonly string[];
  readonly probeNetworks: readonly string[];
  readonly identityDomain: string;
  readonly clusterDomain: string;
  readonly defaultPolicy: string;
  readonly policyDeploymentName: string;
  readonly controlPlaneNamespace: string;
  readonly defaultOpaquePorts: string;
  readonly patchTimeoutMs: number;
  readonly allowL5dRequestHeaders: boolean;
  readonly globalEgressNetworkNamespace: string;
}

/** Arguments that mean nothing here: those of the reference's Kubernetes client. */
const ACCEPTED = ['cluster', 'context', 'user', 'as', 'as-group'];

/** Options and action of the sub-command. */
export function configurePolicy(command: Command, onExit: (code: number) => void): void {
  addWebhookOptions(addCommonOptions(command, ACCEPTED))
    .addOption(
      new Option('--admin-addr <address>', 'address of the admin server')
        .argParser(parseListenAddress)
        .default(parseListenAddress('0.0.0.0:8080'), '0.0.0.0:8080'),
    )
    .addOption(
      new Option('--grpc-addr <address>', 'address to serve on')
        .argParser(parseListenAddress)
        .default(parseListenAddress('0.0.0.0:8090'), '0.0.0.0:8090'),
    )
    .addOption(
      new Option('--server-addr <address>', 'address of the admission webhook')
        .argParser(parseListenAddress)
        .default(parseListenAddress('0.0.0.0:443'), '0.0.0.0:443'),
    )
    .addOption(new Option('--server-tls-key <file>', `the webhook's key, named ${PRIVATE_KEY_FILE}, where no Secret is named`))
    .addOption(new Option('--server-tls-certs <file>', `the webhook's certificate, named ${CERTIFICATE_FILE}, in the same directory`))
    .addOption(booleanOption('admission-controller-disabled', 'serve no admission webhook', false))
    .addOption(
      new Option('--cluster-networks <cidrs>', 'networks of the cluster').argParser(parseList).default(DEFAULT_OPTIONS.clusterNetworks),
    )
    .addOption(new Option('--probe-networks <cidrs>', 'networks that probes come from').argParser(parseList).default([]))
    .addOption(new Option('--identity-domain <domain>', 'trust domain of identities').default(DEFAULT_OPTIONS.identityDomain))
    .addOption(new Option('--cluster-domain <domain>', 'DNS domain of the cluster').default(DEFAULT_OPTIONS.clusterDomain))
    .addOption(new Option('--default-policy <policy>', 'policy of ports that no Server selects').default(DEFAULT_OPTIONS.defaultPolicy))
    .addOption(
      new Option('--policy-deployment-name <name>', 'Deployment that owns the Lease').default(DEFAULT_OPTIONS.policyDeploymentName),
    )
    .addOption(
      new Option('--control-plane-namespace <name>', 'namespace of the control plane').default(DEFAULT_OPTIONS.controlPlaneNamespace),
    )
    .addOption(new Option('--default-opaque-ports <ports>', 'ports that are opaque unless annotated').makeOptionMandatory())
    .addOption(
      new Option('--patch-timeout-ms <milliseconds>', 'longest status patch')
        .argParser(parseInteger)
        .default(DEFAULT_OPTIONS.patchTimeoutMs),
    )
    .addOption(booleanOption('allow-l5d-request-headers', 'let requests set their own retries and timeouts', false))
    .addOption(
      new Option('--global-egress-network-namespace <name>', 'namespace whose EgressNetworks serve all').default(
        DEFAULT_OPTIONS.globalEgressNetworkNamespace,
      ),
    )
    .addOption(
      new Option('--log-level <filter>', 'such as linkerd=info,warn').env('LINKERD_POLICY_CONTROLLER_LOG').default('linkerd=info,warn'),
    )
    .action(async (values: PolicyValues) => {
      certificateFiles(values);
      managedWebhook(values);
      const logger = createPolicyLogger(values, 'linkerd_policy_controller');
      onExit(await runComponent({ name: 'policy', adminAddress: values.adminAddr, logger, start: (frame) => startPolicy(values, frame) }));
    });
}

async function startPolicy(values: PolicyValues, { logger, registry }: ComponentFrame): Promise<Component> {
  const defaultPolicy = parseDefaultPolicy(values.defaultPolicy);
  if (defaultPolicy === undefined) throw new RangeError(`--default-policy: ${values.defaultPolicy} is not a policy`);
  const { source, isCluster } = await openSource(values, logger);
  const options: PolicyControllerOptions = {
    controlPlaneNamespace: values.controlPlaneNamespace,
    identityDomain: values.identityDomain,
    clusterDomain: values.clusterDomain,
    clusterNetworks: values.clusterNetworks,
    probeNetworks: values.probeNetworks,
    defaultPolicy,
    defaultOpaquePorts: values.defaultOpaquePorts,
    allowL5dRequestHeaders: values.allowL5dRequestHeaders,
    globalEgressNetworkNamespace: values.globalEgressNetworkNamespace,
    patchTimeoutMs: values.patchTimeoutMs,
    leaderElection: isCluster ? 'lease' : 'always',
    hostname: process.env['HOSTNAME'] ?? hostname(),
    policyDeploymentName: values.policyDeploymentName,
  };
  const controller = createPolicyController({ source, options, log: logger, metrics: promMetricFactory(registry) });
  const server = createServer(registry, logger);
  server.register(inbound.InboundServerPolicies, controller.inbound);
  server.register(outbound.OutboundPolicies, controller.outbound);
  await listenGrpc(server, values.grpcAddr, logger);
  const webhook = await startReviews(values, source, isCluster, { logger, registry });
  return {
    get isReady(): boolean {
      return controller.isReady;
    },
    failed: controller.ready.then(() => new Promise<never>(() => undefined)),
    async close(): Promise<void> {
      await webhook?.close();
      await server.shutdown(SHUTDOWN_GRACE_MS);
      await controller.close();
      await source.close();
    },
  };
}

/** The admission webhook; undefined where it is disabled, or where nothing but a cluster would call it. */
async function startReviews(
  values: PolicyValues,
  source: ResourceSource,
  isCluster: boolean,
  { logger, registry }: ComponentFrame,
): Promise<Webhook | undefined> {
  if (values.admissionControllerDisabled) return undefined;
  const origin = certificateOrigin(values, source);
  if (origin === undefined) {
    if (isCluster) {
      throw new RangeError(
        'the admission webhook needs a certificate: --webhook-secret, --webhook-service and --webhook-config, or --server-tls-key and --server-tls-certs; or --admission-controller-disabled',
      );
    }
    logger.info('No admission webhook: no certificate is configured, and a source without webhooks applies the rules itself');
    return undefined;
  }
  const certificates = openCertificate(origin, logger);
  return startWebhook({ listen: values.serverAddr, certificates, review: reviewPolicy, logger, registry, path: '/' });
}

function certificateOrigin(values: PolicyValues, source: ResourceSource): CertificateOrigin | undefined {
  const managed = managedWebhook(values);
  if (managed !== undefined) return { ...managed, source, namespace: values.controlPlaneNamespace, kind: 'ValidatingWebhookConfiguration' };
  const directory = certificateFiles(values);
  return directory === undefined ? undefined : { directory };
}

/** The directory of the mounted certificate. Throws RangeError for files that no mounted Secret has. */
function certificateFiles({ serverTlsKey: key, serverTlsCerts: certificate }: PolicyValues): string | undefined {
  if (key === undefined && certificate === undefined) return undefined;
  const isPair = key !== undefined && certificate !== undefined && dirname(key) === dirname(certificate);
  if (isPair && basename(key) === PRIVATE_KEY_FILE && basename(certificate) === CERTIFICATE_FILE) return dirname(key);
  throw new RangeError(
    `--server-tls-key and --server-tls-certs must name ${PRIVATE_KEY_FILE} and ${CERTIFICATE_FILE} of one directory, as a mounted Secret has them`,
  );
}
