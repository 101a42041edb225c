// SPDX-License-Identifier: Apache-2.0
/*
 * The webhook of a sub-command (control-contract §4.1): its flags, the certificate that they choose (made in a Secret of the cluster, or
 * mounted as files), the HTTPS server, and what an operator sees of its verdicts.
 */
import { readFile } from 'node:fs/promises';
import { Option, type Command } from 'commander';
import type { ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { promMetricFactory, type PromRegistry } from '@weft/telemetry/prom';
import {
  manageCertificateSecret,
  startAdmissionServer,
  watchCertificateFiles,
  type AdmissionAnswer,
  type CertificateSource,
  type Review,
  type WebhookConfigurationRef,
} from '@weft/webhook';
import { onAnyAddress } from './component.ts';
import type { ListenAddress } from './flags.ts';

/** Where a mounted certificate is. */
export const TLS_DIRECTORY = '/var/run/linkerd/tls';
/** Where Kubernetes says which namespace a pod is in. */
const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Values of the flags of a certificate that is made in the cluster: all of them, or none. */
export interface WebhookValues {
  readonly webhookSecret: string | undefined;
  readonly webhookService: string | undefined;
  readonly webhookConfig: string | undefined;
}

/** Adds those flags. */
export function addWebhookOptions(command: Command): Command {
  return command
    .addOption(new Option('--webhook-secret <name>', 'Secret to keep a certificate in that is made here; without it files are read'))
    .addOption(new Option('--webhook-service <name>', 'Service that API servers call, which the certificate is for'))
    .addOption(new Option('--webhook-config <name>', 'webhook configuration that is to trust the certificate'));
}

/** A certificate to be made in the cluster. */
export interface ManagedWebhook {
  readonly secretName: string;
  readonly serviceName: string;
  readonly configurationName: string;
}

/** What the flags say; undefined for files. Throws RangeError where some of them are missing. */
export function managedWebhook({ webhookSecret, webhookService, webhookConfig }: WebhookValues): ManagedWebhook | undefined {
  if (webhookSecret === undefined && webhookService === undefined && webhookConfig === undefined) return undefined;
  if (!webhookSecret || !webhookService || !webhookConfig) {
    throw new RangeError('--webhook-secret, --webhook-service and --webhook-config go together: set all of them, or none');
  }
  return { secretName: webhookSecret, serviceName: webhookService, configurationName: webhookConfig };
}

/** The namespace of the pod that this runs in, else `byDefault`. */
export async function ownNamespace(byDefault: string, file: string = NAMESPACE_FILE): Promise<string> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return text.trim() === '' ? byDefault : text.trim();
}

/** Where a certificate comes from. */
export type CertificateOrigin =
  | { readonly directory: string }
  | (ManagedWebhook & {
      readonly source: ResourceSource;
      readonly namespace: string;
      readonly kind: WebhookConfigurationRef['kind'];
    });

/** Opens a certificate of that origin. */
export function openCertificate(origin: CertificateOrigin, logger: Logger): CertificateSource {
  if ('directory' in origin) return watchCertificateFiles(origin.directory, { logger });
  const { source, namespace, secretName, serviceName, configurationName, kind } = origin;
  const configurations = [{ kind, name: configurationName }];
  return manageCertificateSecret({ source, namespace, secretName, serviceName, configurations, logger });
}

/** A webhook to start. */
export interface WebhookInit {
  readonly listen: ListenAddress;
  readonly certificates: CertificateSource;
  readonly review: Review;
  readonly logger: Logger;
  readonly registry: PromRegistry;
  /** The one path that is served; default all. */
  readonly path?: string;
}

/** A running webhook. */
export interface Webhook {
  /** Whether handshakes can succeed. */
  readonly isReady: boolean;
  /** Ends the server, then the certificate's source. */
  close(): Promise<void>;
}

/** Starts a validating webhook and says where. */
export async function startWebhook({ listen, certificates, review, logger, registry, path }: WebhookInit): Promise<Webhook> {
  const observed = observedReview(review, logger, registry);
  const server = await onAnyAddress(listen.host, (host) =>
    startAdmissionServer({
      listen: { host, port: listen.port },
      certificates,
      review: observed,
      logger,
      ...(path === undefined ? {} : { path }),
    }),
  ).catch((error: unknown) => {
    certificates.close();
    throw error;
  });
  logger.info('Webhook listening', { port: server.port });
  return {
    get isReady(): boolean {
      return certificates.current !== undefined;
    },
    async close(): Promise<void> {
      await server.close();
      certificates.close();
    },
  };
}

/** A review that counts its answers and logs its refusals. */
function observedReview(review: Review, logger: Logger, registry: PromRegistry): Review {
  const reviews = promMetricFactory(registry).counter('weft_admission_reviews_total', 'Reviews answered by this webhook.', ['allowed']);
  return async (request): Promise<AdmissionAnswer> => {
    const answer = await review(request);
    reviews.inc({ allowed: String(answer.allowed) });
    if (!answer.allowed) {
      logger.info('Refused', {
        kind: request.kind.kind,
        namespace: request.namespace ?? '',
        name: request.name ?? '',
        user: request.userInfo.username,
        message: answer.message ?? '',
      });
    }
    return answer;
  };
}
