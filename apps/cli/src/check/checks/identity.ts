// SPDX-License-Identifier: Apache-2.0
/* Trust anchors and issuer (CK-08), and the anchors that running proxies were started with (CK-10). */
import type { X509Certificate } from 'node:crypto';
import { importPrivateKey } from '@weft/pki';
import { isResourceError } from '@weft/resources';
import { proxyContainer, textAt } from '../../kube/mesh-config.ts';
import { CheckFailure, failIfAny } from '../check.ts';
import type { Category } from '../check.ts';
import { podName } from '../lookups.ts';
import type { Lookups } from '../lookups.ts';
import {
  algorithmFlaw,
  chainFlaw,
  decodeField,
  describeCertificate,
  expiryWarning,
  readCertificates,
  validityFlaw,
} from './certificates.ts';
import { ANCHORS_TIME_VALID, CONFIG_MAP_EXISTS, IDENTITY_CONFIG_VALID, ISSUER_TIME_VALID } from './ids.ts';

/** Scheme of an issuer that something else, such as cert-manager, looks after. */
export const EXTERNAL_SCHEME = 'kubernetes.io/tls';
/** Where the anchors are. */
export const TRUST_ROOTS_CONFIG_MAP = 'linkerd-identity-trust-roots';
/** Key of that ConfigMap. */
export const TRUST_ROOTS_KEY = 'ca-bundle.crt';
/** Where the issuer is. */
export const ISSUER_SECRET = 'linkerd-identity-issuer';

/** The certificates of an installation. */
export interface IssuerData {
  readonly anchorsPem: string;
  readonly issuerPem: string;
  readonly keyPem: string;
  readonly anchors: readonly X509Certificate[];
  readonly issuer: X509Certificate;
}

/** Reads both; rejects with CheckFailure for what is missing or no certificate. */
export async function readIssuerData(lookups: Lookups): Promise<IssuerData> {
  const scheme = textAt((await lookups.config()).values, 'identity.issuer.scheme');
  const isExternal = scheme === EXTERNAL_SCHEME;
  const [certificateKey, privateKey] = isExternal ? ['tls.crt', 'tls.key'] : ['crt.pem', 'key.pem'];
  const secret = await found(lookups.secret(ISSUER_SECRET), `secrets "${ISSUER_SECRET}" not found`);
  const roots = await found(lookups.configMap(TRUST_ROOTS_CONFIG_MAP), `configmaps "${TRUST_ROOTS_CONFIG_MAP}" not found`);
  const needed = (value: string | undefined, key: string, what: string, where: string): string => {
    if (value !== undefined && value !== '') return value;
    throw new CheckFailure(`key ${key} containing the ${what} needs to exist in ${where} if --identity-external-issuer=${isExternal}`);
  };
  const issuerPem = needed(decodeField(secret.data?.[certificateKey]), certificateKey, 'issuer certificate', `secret ${ISSUER_SECRET}`);
  const keyPem = needed(decodeField(secret.data?.[privateKey]), privateKey, 'issuer key', `secret ${ISSUER_SECRET}`);
  const anchorsPem = needed(roots.data?.[TRUST_ROOTS_KEY], TRUST_ROOTS_KEY, 'trust anchors', `configmap ${TRUST_ROOTS_CONFIG_MAP}`);
  const anchors = parsed(anchorsPem, 'trust anchors');
  const issuer = parsed(issuerPem, 'issuer certificate')[0] as X509Certificate;
  let isPair: boolean;
  try {
    isPair = issuer.checkPrivateKey(importPrivateKey(keyPem).privateKey);
  } catch {
    throw new CheckFailure(`the issuer key in secret ${ISSUER_SECRET} cannot be read`);
  }
  if (!isPair) throw new CheckFailure(`the issuer key in secret ${ISSUER_SECRET} is not that of the issuer certificate`);
  return { anchorsPem, issuerPem, keyPem, anchors, issuer };
}

async function found<T>(call: Promise<T>, message: string): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (isResourceError(error, 'ERR_NOT_FOUND')) throw new CheckFailure(message);
    throw error;
  }
}

function parsed(pem: string, what: string): readonly X509Certificate[] {
  try {
    return readCertificates(pem);
  } catch (error) {
    throw new CheckFailure(`the ${what} cannot be read: ${(error as Error).message}`);
  }
}

async function anchorsMust(lookups: Lookups, heading: string, flaw: (anchor: X509Certificate) => string | undefined): Promise<void> {
  const { anchors } = await readIssuerData(lookups);
  failIfAny(
    heading,
    anchors.flatMap((anchor) => {
      const text = flaw(anchor);
      return text === undefined ? [] : [`${describeCertificate(anchor)} ${text}`];
    }),
  );
}

async function issuerMust(lookups: Lookups, isPrefixed: boolean, flaw: (issuer: X509Certificate) => string | undefined): Promise<void> {
  const text = flaw((await readIssuerData(lookups)).issuer);
  if (text !== undefined) throw new CheckFailure(isPrefixed ? `issuer certificate is ${text}` : `issuer certificate ${text}`);
}

export const identity: Category = {
  name: 'linkerd-identity',
  checks: [
    {
      id: IDENTITY_CONFIG_VALID,
      description: 'certificate config is valid',
      hintAnchor: 'l5d-identity-cert-config-valid',
      needs: [CONFIG_MAP_EXISTS],
      run: async (lookups) => void (await readIssuerData(lookups)),
    },
    {
      id: 'linkerd-identity/anchors-algorithm',
      description: 'trust anchors are using supported crypto algorithm',
      hintAnchor: 'l5d-identity-trustAnchors-use-supported-crypto',
      needs: [IDENTITY_CONFIG_VALID],
      run: (lookups) => anchorsMust(lookups, 'Invalid trustAnchors:', algorithmFlaw),
    },
    {
      id: ANCHORS_TIME_VALID,
      description: 'trust anchors are within their validity period',
      hintAnchor: 'l5d-identity-trustAnchors-are-time-valid',
      needs: [IDENTITY_CONFIG_VALID],
      run: (lookups) => anchorsMust(lookups, 'Invalid anchors:', (anchor) => validityFlaw(anchor, lookups.nowMs())),
    },
    {
      id: 'linkerd-identity/anchors-expiry',
      description: 'trust anchors are valid for at least 60 days',
      hintAnchor: 'l5d-identity-trustAnchors-not-expiring-soon',
      isWarning: true,
      needs: [ANCHORS_TIME_VALID],
      run: (lookups) => anchorsMust(lookups, 'Anchors expiring soon:', (anchor) => expiryWarning(anchor, lookups.nowMs())),
    },
    {
      id: 'linkerd-identity/issuer-algorithm',
      description: 'issuer cert is using supported crypto algorithm',
      hintAnchor: 'l5d-identity-issuer-cert-uses-supported-crypto',
      needs: [IDENTITY_CONFIG_VALID],
      run: (lookups) => issuerMust(lookups, false, algorithmFlaw),
    },
    {
      id: ISSUER_TIME_VALID,
      description: 'issuer cert is within its validity period',
      hintAnchor: 'l5d-identity-issuer-cert-is-time-valid',
      needs: [IDENTITY_CONFIG_VALID],
      run: (lookups) => issuerMust(lookups, true, (issuer) => validityFlaw(issuer, lookups.nowMs())),
    },
    {
      id: 'linkerd-identity/issuer-expiry',
      description: 'issuer cert is valid for at least 60 days',
      hintAnchor: 'l5d-identity-issuer-cert-not-expiring-soon',
      isWarning: true,
      needs: [ISSUER_TIME_VALID],
      run: (lookups) => issuerMust(lookups, false, (issuer) => expiryWarning(issuer, lookups.nowMs())),
    },
    {
      id: 'linkerd-identity/issuer-chain',
      description: 'issuer cert is issued by the trust anchor',
      hintAnchor: 'l5d-identity-issuer-cert-issued-by-trust-anchor',
      needs: [ANCHORS_TIME_VALID, ISSUER_TIME_VALID],
      run: async (lookups) => {
        const { issuerPem, anchorsPem } = await readIssuerData(lookups);
        const flaw = chainFlaw(issuerPem, anchorsPem, 'issuer', lookups.nowMs());
        if (flaw !== undefined) throw new CheckFailure(`issuer certificate is not issued by a trust anchor: ${flaw}`);
      },
    },
  ],
};

/** Environment variable of a proxy that holds its anchors. */
const ANCHORS_VARIABLE = 'LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS';

export const identityDataPlane: Category = {
  name: 'linkerd-identity-data-plane',
  checks: [
    {
      id: 'linkerd-identity-data-plane/anchors',
      description: 'data plane proxies certificate match CA',
      hintAnchor: 'l5d-identity-data-plane-proxies-certs-match-ca',
      isWarning: true,
      needs: [IDENTITY_CONFIG_VALID],
      run: async (lookups) => {
        const { anchorsPem } = await readIssuerData(lookups);
        const stale = (await lookups.dataPlanePods()).filter((pod) => {
          // A proxy that reads them from the ConfigMap has no text of its own.
          const text = proxyContainer(pod)?.env?.find(({ name }) => name === ANCHORS_VARIABLE)?.value;
          return text !== undefined && !isSameBundle(text, anchorsPem);
        });
        failIfAny('Some pods do not have the current trust bundle and must be restarted:', stale.map(podName));
      },
    },
  ],
};

/** Whether two bundles hold the same certificates; order and white space do not count. */
function isSameBundle(a: string, b: string): boolean {
  try {
    const fingerprints = (pem: string): string =>
      readCertificates(pem)
        .map(({ fingerprint256 }) => fingerprint256)
        .toSorted()
        .join();
    return fingerprints(a) === fingerprints(b);
  } catch {
    return a.trim() === b.trim();
  }
}
