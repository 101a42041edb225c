// SPDX-License-Identifier: Apache-2.0
/* Certificates of the webhooks (CK-09): the Secret that is served, against the bundle that the API server verifies it with. */
import { readSubjectAltNames, splitPem } from '@weft/pki';
import type { ResourceKind } from '@weft/resources';
import { isResourceError } from '@weft/resources';
import { MutatingWebhookKind, ValidatingWebhookKind } from '../../kube/kinds.ts';
import type { WebhookConfiguration } from '../../kube/kinds.ts';
import { CheckFailure } from '../check.ts';
import type { Category, Check } from '../check.ts';
import type { Lookups } from '../lookups.ts';
import { chainFlaw, decodeField, expiryWarning, readCertificates } from './certificates.ts';
import { MUTATING_WEBHOOKS_EXIST, VALIDATING_WEBHOOKS_EXIST } from './ids.ts';

interface Served {
  readonly certificatePem: string;
  readonly caPem: string;
  readonly serverName: string;
}

async function readServed(lookups: Lookups, name: string, kind: ResourceKind<WebhookConfiguration>): Promise<Served> {
  const secretName = `linkerd-${name}-k8s-tls`;
  const { controlPlaneNamespace: namespace } = lookups.settings;
  const secret = await lookups.secret(secretName).catch((error: unknown) => {
    if (isResourceError(error, 'ERR_NOT_FOUND')) throw new CheckFailure(`secrets "${secretName}" not found`);
    throw error;
  });
  const configuration = await lookups.get(kind, '', `linkerd-${name}-webhook-config`);
  const client = configuration.webhooks?.[0]?.clientConfig;
  const caPem = decodeField(client?.caBundle);
  if (caPem === undefined)
    throw new CheckFailure(`${kind.kind} linkerd-${name}-webhook-config has no caBundle: the API server cannot call it`);
  const certificatePem = decodeField(secret.data?.['tls.crt']);
  if (certificatePem === undefined) throw new CheckFailure(`key tls.crt is not in secret ${secretName}`);
  return {
    certificatePem,
    caPem,
    serverName: `${client?.service?.name ?? `linkerd-${name}`}.${client?.service?.namespace ?? namespace}.svc`,
  };
}

async function mustBeTrusted(lookups: Lookups, name: string, kind: ResourceKind<WebhookConfiguration>): Promise<void> {
  const { certificatePem, caPem, serverName } = await readServed(lookups, name, kind);
  const flaw = flawOf(certificatePem, caPem, lookups.nowMs());
  if (flaw !== undefined) throw new CheckFailure(`cert is not issued by the trust anchor: ${flaw}`);
  const leaf = splitPem(certificatePem)[0];
  const names = leaf === undefined ? [] : readSubjectAltNames(leaf.der).dns;
  if (!names.includes(serverName)) {
    throw new CheckFailure(`cert is not issued by the trust anchor: certificate is valid for ${names.join(', ')}, not ${serverName}`);
  }
}

/** Chains whose text is no certificate are flaws too. */
function flawOf(certificatePem: string, caPem: string, nowMs: number): string | undefined {
  try {
    return chainFlaw(certificatePem, caPem, 'server', nowMs);
  } catch (error) {
    return (error as Error).message;
  }
}

function webhookChecks(name: string, kind: ResourceKind<WebhookConfiguration>, needs: string): readonly Check[] {
  const valid = `linkerd-webhooks-and-apisvc-tls/${name}`;
  return [
    {
      id: valid,
      description: `${name} webhook has valid cert`,
      hintAnchor: `l5d-${name}-webhook-cert-valid`,
      needs: [needs],
      run: (lookups) => mustBeTrusted(lookups, name, kind),
    },
    {
      id: `${valid}-expiry`,
      description: `${name} cert is valid for at least 60 days`,
      hintAnchor: `l5d-${name}-webhook-cert-not-expiring-soon`,
      isWarning: true,
      needs: [valid],
      run: async (lookups) => {
        const { certificatePem } = await readServed(lookups, name, kind);
        const [leaf] = readCertificates(certificatePem);
        const warning = leaf === undefined ? undefined : expiryWarning(leaf, lookups.nowMs());
        if (warning !== undefined) throw new CheckFailure(`certificate ${warning}`);
      },
    },
  ];
}

export const webhooks: Category = {
  name: 'linkerd-webhooks-and-apisvc-tls',
  checks: [
    ...webhookChecks('proxy-injector', MutatingWebhookKind, MUTATING_WEBHOOKS_EXIST),
    ...webhookChecks('sp-validator', ValidatingWebhookKind, VALIDATING_WEBHOOKS_EXIST),
    ...webhookChecks('policy-validator', ValidatingWebhookKind, VALIDATING_WEBHOOKS_EXIST),
  ],
};
