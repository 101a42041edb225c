// SPDX-License-Identifier: Apache-2.0
/*
 * `controller identity`: the mesh's certificate authority (control-contract §2), with the reference's flags (§2.1). Who reviews tokens
 * follows from the world: an API server, or a local key (`--local-token-key`).
 */
import { readFile } from 'node:fs/promises';
import { createPublicKey } from 'node:crypto';
import { Option, type Command } from 'commander';
import {
  checkTokenReviewAccess,
  createEventRecorder,
  createKubernetesTokenReviewer,
  DEFAULT_CLOCK_SKEW_MS,
  DEFAULT_ISSUANCE_LIFETIME_MS,
  directoryMaterial,
  IdentityService,
  isDnsLabel,
  isDnsSubdomain,
  issuerFileNames,
  registerIdentityMetrics,
  TRUST_BUNDLE_FILE,
} from '@weft/identity';
import { goDurationMs } from '@weft/kube-text';
import { createLocalTokenReviewer, type TokenReviewer } from '@weft/pki';
import { untilAvailable, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { runComponent, SHUTDOWN_GRACE_MS, type Component, type ComponentFrame } from '../component.ts';
import { parseListenAddress, type ListenAddress } from '../flags.ts';
import { createServer, listenGrpc } from '../grpc.ts';
import { openSource } from '../resource-source.ts';
import { addCommonOptions, booleanOption, createControllerLogger, type CommonValues } from './common-options.ts';

interface IdentityValues extends CommonValues {
  readonly addr: ListenAddress;
  readonly adminAddr: ListenAddress;
  readonly controllerNamespace: string;
  readonly identityScheme: string;
  readonly identityTrustDomain: string;
  readonly identityIssuanceLifetime: string;
  readonly identityClockSkewAllowance: string;
  readonly issuer: string;
  readonly trustRoots: string;
  readonly localTokenKey: string | undefined;
  readonly trustBundleRequiresIdentity: boolean;
}

/** A pod may run before its node's network leads to the API server. */
const API_SERVER_PATIENCE_MS = 60_000;

/** Flags that mean nothing here. */
const ACCEPTED = ['kube-apiclient-qps', 'kube-apiclient-burst', 'enable-pprof', 'trace-collector'];

/** Options and action of the sub-command. */
export function configureIdentity(command: Command, onExit: (code: number) => void): void {
  addCommonOptions(command, ACCEPTED)
    .addOption(
      new Option('--addr <address>', 'address to serve on').argParser(parseListenAddress).default(parseListenAddress(':8080'), ':8080'),
    )
    .addOption(
      new Option('--admin-addr <address>', 'address of the admin server')
        .argParser(parseListenAddress)
        .default(parseListenAddress(':9990'), ':9990'),
    )
    .addOption(new Option('--controller-namespace <name>', 'namespace of the control plane').default(''))
    .addOption(new Option('--identity-scheme <scheme>', 'linkerd.io/tls or kubernetes.io/tls').default(''))
    .addOption(new Option('--identity-trust-domain <domain>', 'trust domain of identities').default(''))
    .addOption(new Option('--identity-issuance-lifetime <duration>', 'lifetime of certificates').default(''))
    .addOption(new Option('--identity-clock-skew-allowance <duration>', 'added at both ends of a lifetime').default(''))
    .addOption(new Option('--issuer <directory>', 'directory of the issuer').default('/var/run/linkerd/identity/issuer'))
    .addOption(
      new Option('--trust-roots <directory>', `directory of ${TRUST_BUNDLE_FILE}`).default('/var/run/linkerd/identity/trust-roots'),
    )
    .addOption(new Option('--local-token-key <file>', 'PEM key that signed the tokens; without it an API server reviews them'))
    .addOption(booleanOption('trust-bundle-requires-identity', 'stream trust anchors only to callers with a verified identity', true))
    .addOption(new Option('--log-level <level>', 'error, warn, info, debug or trace').default('info'))
    .action(async (values: IdentityValues) => {
      const logger = createControllerLogger(values, 'linkerd_identity');
      // As the reference does: a control plane without identity has nothing to run here, which is no failure.
      if (values.identityScheme === '' || values.identityTrustDomain === '') {
        logger.info('Identity disabled in control plane configuration');
        onExit(0);
        return;
      }
      onExit(
        await runComponent({ name: 'identity', adminAddress: values.adminAddr, logger, start: (frame) => startIdentity(values, frame) }),
      );
    });
}

async function startIdentity(values: IdentityValues, { logger, registry }: ComponentFrame): Promise<Component> {
  const domain = { controllerNamespace: values.controllerNamespace, trustDomain: values.identityTrustDomain };
  if (!isDnsLabel(domain.controllerNamespace))
    throw new RangeError(`--controller-namespace: ${domain.controllerNamespace} is not a DNS label`);
  if (!isDnsSubdomain(domain.trustDomain)) throw new RangeError(`--identity-trust-domain: ${domain.trustDomain} is not a DNS name`);
  const { source, isCluster } = await openSource(values, logger);
  const names = issuerFileNames(values.identityScheme);
  const service = await IdentityService.start({
    domain,
    issuer: directoryMaterial(values.issuer, [names.certificate, names.key]),
    issuerScheme: values.identityScheme,
    trustAnchors: directoryMaterial(values.trustRoots, [TRUST_BUNDLE_FILE]),
    reviewer: await createReviewer(values.localTokenKey, source, isCluster, logger),
    issuanceLifetimeMs: durationOr(values.identityIssuanceLifetime, DEFAULT_ISSUANCE_LIFETIME_MS, '--identity-issuance-lifetime', logger),
    clockSkewMs: durationOr(values.identityClockSkewAllowance, DEFAULT_CLOCK_SKEW_MS, '--identity-clock-skew-allowance', logger),
    events: createEventRecorder(source, logger),
    logger,
    requiresClientIdentity: values.trustBundleRequiresIdentity,
  });
  registerIdentityMetrics(registry, service);
  const server = createServer(registry, logger);
  service.register(server);
  await listenGrpc(server, values.addr, logger);
  return {
    isReady: true,
    failed: new Promise<never>(() => undefined),
    async close(): Promise<void> {
      await server.shutdown(SHUTDOWN_GRACE_MS);
      service.close();
      await source.close();
    },
  };
}

async function createReviewer(
  keyFile: string | undefined,
  source: ResourceSource,
  isCluster: boolean,
  logger: Logger,
): Promise<TokenReviewer> {
  if (keyFile === undefined) {
    if (!isCluster) throw new Error('--local-token-key is required: nothing else can review tokens without a cluster');
    await untilAvailable(() => checkTokenReviewAccess(source), {
      timeoutMs: API_SERVER_PATIENCE_MS,
      onRetry: (error) => logger.warn('The API server does not answer yet', { error: (error as Error).message }),
    });
    return createKubernetesTokenReviewer(source);
  }
  return createLocalTokenReviewer({ keys: [createPublicKey(await readFile(keyFile, 'utf8'))] });
}

// As the reference does: a bad duration is not fatal, the default stands in (control-contract §2.1).
function durationOr(text: string, defaultMs: number, flag: string, logger: Logger): number {
  const durationMs = goDurationMs(text);
  if (durationMs !== undefined && durationMs > 0) return durationMs;
  if (text !== '') logger.warn('Invalid duration, using the default', { flag, value: text });
  return defaultMs;
}
