// SPDX-License-Identifier: Apache-2.0
/*
 * A webhook's certificate, made and rotated in the cluster by the webhooks themselves (control-contract §4.1, §6.2: the chart renders
 * neither key nor caBundle). Every replica runs the same loop over what it reads: a good Secret is served with, a missing, corrupt or
 * ending one is written anew, a webhook configuration without its CA gets it. There is no leader: writes carry the resourceVersion of
 * what they replace, the first wins and the others read it. A new certificate is served only once API servers had time to trust it,
 * unless the old one is of no use any more.
 */
import {
  isResourceError,
  MutatingWebhookConfigurationKind,
  SecretKind,
  ValidatingWebhookConfigurationKind,
  type ResourceKind,
  type ResourceSource,
  type Secret,
  type Watch,
  type WebhookConfiguration,
} from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { caBundlePatch } from './ca-bundle.ts';
import { CertificateHolder } from './certificate-holder.ts';
import {
  isTrustedBy,
  judgeSecret,
  makeSecretData,
  MANAGED_CERTIFICATE_DEFAULTS,
  type ManagedCertificate,
  type ManagedCertificateTimes,
} from './managed-certificate.ts';
import { Reconciler } from './reconciler.ts';
import type { CertificateSource } from './types.ts';

/** A webhook configuration that is to trust the certificate. */
export interface WebhookConfigurationRef {
  readonly kind: 'MutatingWebhookConfiguration' | 'ValidatingWebhookConfiguration';
  readonly name: string;
}

export interface ManagedCertificateOptions {
  readonly source: ResourceSource;
  /** Of the Secret and of the Service. */
  readonly namespace: string;
  readonly secretName: string;
  /** The certificate is for `<serviceName>.<namespace>.svc`, the name by which API servers call. */
  readonly serviceName: string;
  readonly configurations: readonly WebhookConfigurationRef[];
  readonly logger: Logger;
  readonly times?: Partial<ManagedCertificateTimes>;
  /** API servers learn of a changed configuration through a watch: a new certificate waits so long. Milliseconds; default 5,000. */
  readonly settleMs?: number;
  /** Everything is looked at again this often, for what no watch tells: time. Milliseconds; default 60,000. */
  readonly recheckMs?: number;
  /** Wall clock in milliseconds. */
  readonly now?: () => number;
}

const DEFAULT_SETTLE_MS = 5_000;
const DEFAULT_RECHECK_MS = 60_000;
/** Writes of one object that may be lost to others in one run. */
const MAX_CONFLICTS = 5;
/** Who writes, in managedFields. */
const FIELD_MANAGER = 'weft-webhook';
const KINDS: Readonly<Record<WebhookConfigurationRef['kind'], ResourceKind<WebhookConfiguration>>> = {
  MutatingWebhookConfiguration: MutatingWebhookConfigurationKind,
  ValidatingWebhookConfiguration: ValidatingWebhookConfigurationKind,
};

/** Starts making, loading and rotating. The source stays the caller's to close. */
export function manageCertificateSecret(options: ManagedCertificateOptions): CertificateSource {
  const managed = new ManagedSecret(options);
  managed.start();
  return managed;
}

class ManagedSecret implements CertificateSource {
  private readonly options: ManagedCertificateOptions;
  private readonly times: ManagedCertificateTimes;
  private readonly serverName: string;
  private readonly holder = new CertificateHolder();
  private readonly reconciler: Reconciler;
  private readonly watches: Watch[] = [];
  private readonly now: () => number;
  /** What `holder` serves with, and its bundle. */
  private served: ManagedCertificate | undefined;
  private swapTimer: NodeJS.Timeout | undefined;
  /** Certificate that waits for `swapTimer`. */
  private waiting: ManagedCertificate | undefined;

  constructor(options: ManagedCertificateOptions) {
    this.options = options;
    this.times = { ...MANAGED_CERTIFICATE_DEFAULTS, ...options.times };
    this.serverName = `${options.serviceName}.${options.namespace}.svc`;
    this.now = options.now ?? Date.now;
    this.reconciler = new Reconciler(() => this.reconcile(), {
      recheckMs: options.recheckMs ?? DEFAULT_RECHECK_MS,
      onError: (error, retryMs) =>
        options.logger.warn('Webhook certificate not settled', { secret: this.secretId, error: error.message, retry_ms: retryMs }),
    });
  }

  get current(): CertificateSource['current'] {
    return this.holder.current;
  }

  get loaded(): Promise<void> {
    return this.holder.loaded;
  }

  onChange(listener: Parameters<CertificateSource['onChange']>[0]): () => void {
    return this.holder.onChange(listener);
  }

  start(): void {
    const { source, namespace, secretName, configurations } = this.options;
    const wake = (): void => this.reconciler.wake();
    this.watches.push(source.watch(SecretKind, { namespace, name: secretName }, wake));
    for (const { kind, name } of configurations) this.watches.push(source.watch(KINDS[kind], { name }, wake));
    this.reconciler.wake();
  }

  close(): void {
    this.reconciler.close();
    clearTimeout(this.swapTimer);
    for (const watch of this.watches) watch.close();
    this.holder.clear();
  }

  private get secretId(): string {
    return `${this.options.namespace}/${this.options.secretName}`;
  }

  /** One look at the Secret and at the configurations. Throws for what has to be tried again. */
  private async reconcile(): Promise<void> {
    // Read from the API server, not from a watch: a bundle must never be put back from a view that is behind.
    const certificate = await this.settleSecret();
    if (this.reconciler.isClosed) return;
    if (this.served === undefined) this.serve(certificate);
    let failure: unknown;
    for (const reference of this.options.configurations) {
      try {
        await this.settleConfiguration(reference, certificate);
      } catch (error) {
        failure ??= error;
      }
    }
    if (this.reconciler.isClosed) return;
    // API servers that were not told trust the old certificate alone, as long as it lasts.
    if (failure === undefined || this.usable(this.now()) === undefined) this.changeOver(certificate);
    if (failure !== undefined) throw failure;
  }

  /** The certificate of the Secret, after writing one where there is none that will do. */
  private async settleSecret(attemptsLeft: number = MAX_CONFLICTS): Promise<ManagedCertificate> {
    const { source, namespace, secretName, logger } = this.options;
    const secret = await source.get(SecretKind, namespace, secretName).catch((error: unknown) => {
      if (isResourceError(error, 'ERR_NOT_FOUND')) return undefined;
      throw error;
    });
    const nowMs = this.now();
    const verdict = secret === undefined ? { flaw: 'there is none' } : judgeSecret(secret.data ?? {}, this.serverName, nowMs);
    let flaw = 'flaw' in verdict ? verdict.flaw : undefined;
    const found = 'certificate' in verdict ? verdict.certificate : undefined;
    if (found !== undefined && found.notAfterMs - nowMs <= this.times.renewBeforeMs) flaw = 'the certificate ends soon';
    if (flaw === undefined && found !== undefined) return found;
    const data = makeSecretData(this.serverName, nowMs, this.times, found ?? this.usable(nowMs));
    try {
      await this.write(secret, data);
    } catch (error) {
      const isLost = isResourceError(error, 'ERR_CONFLICT') || isResourceError(error, 'ERR_ALREADY_EXISTS');
      // Another replica, or someone, was first.
      if (isLost && attemptsLeft > 0) return this.settleSecret(attemptsLeft - 1);
      // A certificate that is good for now is better than none, while the Secret cannot be written.
      if (found !== undefined && this.served === undefined) this.serve(found);
      throw error;
    }
    logger.info('Webhook certificate made', { secret: this.secretId, name: this.serverName, reason: flaw ?? '' });
    const made = judgeSecret(data, this.serverName, nowMs);
    if ('flaw' in made) throw new Error(`the certificate just made is of no use: ${made.flaw}`);
    return made.certificate;
  }

  private async write(secret: Secret | undefined, data: Readonly<Record<string, string>>): Promise<void> {
    const { source, namespace, secretName } = this.options;
    const labels = { 'linkerd.io/control-plane-ns': namespace };
    if (secret === undefined) {
      const metadata = { name: secretName, namespace, labels, annotations: { 'linkerd.io/created-by': 'weft/webhook' } };
      await source.create(SecretKind, { apiVersion: 'v1', kind: 'Secret', metadata, type: 'kubernetes.io/tls', data });
      return;
    }
    // The type of a Secret cannot change; labels and whatever else it holds are someone's.
    await source.update(SecretKind, { ...secret, data: { ...secret.data, ...data } });
  }

  private async settleConfiguration(
    reference: WebhookConfigurationRef,
    certificate: ManagedCertificate,
    attemptsLeft: number = MAX_CONFLICTS,
  ): Promise<void> {
    const { source, serviceName, namespace, logger } = this.options;
    const { kind, name } = reference;
    const configuration = await source.get(KINDS[kind], '', name).catch((error: unknown) => {
      // Not there yet, or deleted: its watch tells when it comes.
      if (isResourceError(error, 'ERR_NOT_FOUND')) return undefined;
      throw error;
    });
    if (configuration === undefined) return undefined;
    const patch = caBundlePatch(configuration, { namespace, name: serviceName }, certificate.caBundlePem);
    if (patch === undefined) return undefined;
    try {
      await source.patch(KINDS[kind], '', name, patch, FIELD_MANAGER);
    } catch (error) {
      // Another replica was first, most likely with the same bundle.
      if (!isResourceError(error, 'ERR_CONFLICT') || attemptsLeft === 0) throw error;
      return this.settleConfiguration(reference, certificate, attemptsLeft - 1);
    }
    logger.info('Webhook configuration given its caBundle', { kind, name });
    return undefined;
  }

  /** What is served now, if API servers could still accept it. */
  private usable(nowMs: number): ManagedCertificate | undefined {
    return this.served !== undefined && this.served.notAfterMs > nowMs ? this.served : undefined;
  }

  private changeOver(certificate: ManagedCertificate): void {
    if (certificate.pair.certificatePem === this.served?.pair.certificatePem) {
      // The bundle may have changed alone; a change-over that waits is off.
      this.serve(certificate);
      return;
    }
    if (certificate.pair.certificatePem === this.waiting?.pair.certificatePem) return;
    const nowMs = this.now();
    const old = this.usable(nowMs);
    if (old === undefined || !isTrustedBy(old.pair, certificate.caBundlePem, this.serverName, nowMs)) {
      this.serve(certificate);
      return;
    }
    clearTimeout(this.swapTimer);
    this.waiting = certificate;
    this.swapTimer = setTimeout(() => this.serve(certificate), this.options.settleMs ?? DEFAULT_SETTLE_MS);
    this.swapTimer.unref();
  }

  private serve(certificate: ManagedCertificate): void {
    clearTimeout(this.swapTimer);
    this.waiting = undefined;
    const isNew = certificate.pair.certificatePem !== this.served?.pair.certificatePem;
    this.served = certificate;
    this.holder.set(certificate.pair);
    const notAfter = new Date(certificate.notAfterMs).toISOString();
    if (isNew) this.options.logger.info('Webhook certificate loaded', { secret: this.secretId, not_after: notAfter });
  }
}
