// SPDX-License-Identifier: Apache-2.0
/*
 * How the command becomes a client that proxies let tap (proxy-contract §8): the identity that a proxy names in TAP_SVC_NAME is that of a service
 * account, so the API server is asked for a token of that account and the mesh's identity service for its certificate. Who may create tokens of the
 * account (`create serviceaccounts/token`) may tap; key and certificate stay in memory.
 */
import { create } from '@bufbuild/protobuf';
import { buildCsr, encodePem, exportPrivateKeyPem, generateKey } from '@weft/pki';
import { identity } from '@weft/proto';
import { PodKind, ResourceError, type Pod } from '@weft/resources';
import { CommandFailure } from '../command-context.ts';
import { callUnary } from '../inspect/grpc-call.ts';
import type { Cluster } from '../kube/cluster.ts';
import { COMPONENT_LABEL, proxyContainer } from '../kube/mesh-config.ts';

const TAP_VARIABLE = 'LINKERD2_PROXY_TAP_SVC_NAME';
const AUDIENCE = 'identity.l5d.io';
/** Kubernetes gives no token of a shorter life. */
const TOKEN_SECONDS = 600;
const IDENTITY_PORT = 8080;

/** Who may tap a pod, and who the pod is. */
export interface TapPeer {
  /** Identity of the client that the proxy lets tap. */
  readonly clientName: string;
  readonly serverName: string;
  /** PEM; undefined where the pod takes them from elsewhere. */
  readonly trustAnchorsPem: string | undefined;
}

/** What a TLS client shows and trusts. */
export interface TapCredentials {
  readonly keyPem: string;
  readonly certificatesPem: string;
}

/** What a pod's proxy says about tap; undefined where nobody may tap it. */
export function tapPeer(pod: Pod): TapPeer | undefined {
  const variables = new Map(proxyContainer(pod)?.env?.map(({ name, value }) => [name, value ?? '']) ?? []);
  const clientName = variables.get(TAP_VARIABLE) ?? '';
  if (clientName === '') return undefined;
  const [, domain] = clientName.split('.serviceaccount.');
  const account = pod.spec?.serviceAccountName ?? 'default';
  return {
    clientName,
    serverName: `${account}.${pod.metadata.namespace}.serviceaccount.${domain ?? ''}`,
    trustAnchorsPem: variables.get('LINKERD2_PROXY_IDENTITY_TRUST_ANCHORS') || undefined,
  };
}

/** A certificate for an identity. Rejects with CommandFailure that says what is missing. */
export async function tapCredentials(cluster: Cluster, controlPlane: string, clientName: string): Promise<TapCredentials> {
  const [account, namespace, marker] = clientName.split('.');
  if (account === undefined || namespace === undefined || marker !== 'serviceaccount') {
    throw new CommandFailure(`proxies let ${clientName} tap, which is no service account's identity`);
  }
  const token = await requestToken(cluster, namespace, account);
  const keys = generateKey();
  const answer = await withIdentityService(cluster, controlPlane, (address) =>
    callUnary(
      address,
      identity.Identity.method.certify,
      create(identity.CertifyRequestSchema, {
        identity: clientName,
        token: Buffer.from(token),
        certificateSigningRequest: buildCsr(clientName, keys.privateKey),
      }),
    ),
  );
  const certificates = [answer.leafCertificate, ...answer.intermediateCertificates];
  return {
    keyPem: exportPrivateKeyPem(keys.privateKey),
    certificatesPem: certificates.map((der) => encodePem('CERTIFICATE', Buffer.from(der))).join(''),
  };
}

async function requestToken(cluster: Cluster, namespace: string, account: string): Promise<string> {
  let answer: unknown;
  try {
    answer = await cluster.call({
      method: 'POST',
      path: `/api/v1/namespaces/${encodeURIComponent(namespace)}/serviceaccounts/${encodeURIComponent(account)}/token`,
      body: {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: { audiences: [AUDIENCE], expirationSeconds: TOKEN_SECONDS },
      },
    });
  } catch (error) {
    const code = error instanceof ResourceError ? error.code : undefined;
    const what = `service account ${namespace}/${account}`;
    if (code === 'ERR_FORBIDDEN')
      throw new CommandFailure(`you may not tap: it takes the right to create tokens of ${what}`, 1, { cause: error });
    if (code === 'ERR_NOT_FOUND') throw new CommandFailure(`${what} does not exist; install with tap.enabled=true`, 1, { cause: error });
    throw error;
  }
  const token = (answer as { readonly status?: { readonly token?: unknown } } | null)?.status?.token;
  if (typeof token !== 'string' || token === '') throw new CommandFailure('the API server answered with no token');
  return token;
}

async function withIdentityService<T>(cluster: Cluster, controlPlane: string, call: (address: string) => Promise<T>): Promise<T> {
  const pods = await cluster.list(PodKind, { namespace: controlPlane, labelSelector: `${COMPONENT_LABEL}=identity` });
  const pod = pods.find(({ status }) => status?.phase === 'Running');
  if (pod === undefined) throw new CommandFailure(`no pod of the identity service runs in namespace ${controlPlane}`);
  const forward = await cluster.portForward(controlPlane, pod.metadata.name, IDENTITY_PORT);
  try {
    return await call(`${forward.host}:${forward.port}`);
  } finally {
    forward.close();
  }
}
