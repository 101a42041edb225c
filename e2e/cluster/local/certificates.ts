// SPDX-License-Identifier: Apache-2.0
/*
 * The keys and certificates of a cluster and the kubeconfigs that carry them, by OpenSSL: Kubernetes reads user and groups from the subject (CN and
 * O), so they cannot come from the mesh's own builder, which writes common names only.
 */
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CLUSTER_DOMAIN, type ClusterPlan } from './plan.ts';

const run = promisify(execFile);
const VALID_DAYS = '30';
const NEW_P256_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

interface Leaf {
  readonly name: string;
  readonly subject: string;
  /** SubjectAltName of a server; a client has none. */
  readonly serves?: string;
  readonly authority?: string;
  /** Also write a kubeconfig for it. */
  readonly hasKubeconfig?: boolean;
}

/** Writes everything into the plan's directory `pki`, readable by root only. About 0.6 s for one node. */
export async function writeCertificates(plan: ClusterPlan): Promise<void> {
  const directory = join(plan.directory, 'pki');
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(directory, 'sa.key'), privateKey.export({ type: 'pkcs1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(join(directory, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  await Promise.all(['ca', 'front-proxy-ca'].map((name) => makeAuthority(directory, name)));
  const leaves = leavesOf(plan);
  await Promise.all(leaves.map((leaf) => makeLeaf(directory, leaf)));
  for (const { name, hasKubeconfig } of leaves)
    if (hasKubeconfig === true) writeFileSync(join(directory, `${name}.conf`), kubeconfig(plan, directory, name), { mode: 0o600 });
}

function leavesOf(plan: ClusterPlan): readonly Leaf[] {
  const service = `kubernetes.default.svc.${CLUSTER_DOMAIN}`;
  const apiNames = ['localhost', 'kubernetes', 'kubernetes.default', 'kubernetes.default.svc', service].map((name) => `DNS:${name}`);
  const apiAddresses = ['127.0.0.1', plan.apiServiceAddress, ...(plan.nodes[0]?.addresses ?? [])].map((address) => `IP:${address}`);
  return [
    { name: 'apiserver', subject: '/CN=kube-apiserver', serves: [...apiNames, ...apiAddresses].join(',') },
    // Without kubeadm's role bindings only this group may read logs and execute through a kubelet.
    { name: 'apiserver-kubelet-client', subject: '/O=system:masters/CN=kube-apiserver-kubelet-client' },
    { name: 'front-proxy-client', subject: '/CN=front-proxy-client', authority: 'front-proxy-ca' },
    { name: 'admin', subject: '/O=system:masters/CN=admin', hasKubeconfig: true },
    { name: 'controller-manager', subject: '/CN=system:kube-controller-manager', hasKubeconfig: true },
    { name: 'scheduler', subject: '/CN=system:kube-scheduler', hasKubeconfig: true },
    { name: 'kube-proxy', subject: '/CN=system:kube-proxy', hasKubeconfig: true },
    ...plan.nodes.flatMap((node): Leaf[] => {
      const subject = `/O=system:nodes/CN=system:node:${node.name}`;
      const serves = [`DNS:${node.name}`, ...['127.0.0.1', ...node.addresses].map((address) => `IP:${address}`)].join(',');
      return [
        { name: `kubelet-${node.name}`, subject, hasKubeconfig: true },
        { name: `kubelet-server-${node.name}`, subject, serves },
      ];
    }),
  ];
}

async function makeAuthority(directory: string, name: string): Promise<void> {
  const usage = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature'];
  await openssl(directory, name, `/CN=${name}`, usage);
}

async function makeLeaf(directory: string, { name, subject, serves, authority = 'ca' }: Leaf): Promise<void> {
  const purpose = serves === undefined ? 'clientAuth' : 'serverAuth';
  const extensions = ['basicConstraints=CA:FALSE', 'keyUsage=critical,digitalSignature', `extendedKeyUsage=${purpose}`];
  if (serves !== undefined) extensions.push(`subjectAltName=${serves}`);
  const signer = ['-CA', `${authority}.crt`, '-CAkey', `${authority}.key`];
  await openssl(directory, name, subject, [...signer, ...extensions.flatMap((extension) => ['-addext', extension])]);
}

async function openssl(directory: string, name: string, subject: string, rest: readonly string[]): Promise<void> {
  const files = ['-keyout', `${name}.key`, '-out', `${name}.crt`];
  await run('openssl', ['req', '-x509', ...NEW_P256_KEY, '-sha256', '-days', VALID_DAYS, '-subj', subject, ...files, ...rest], {
    cwd: directory,
  });
}

function kubeconfig(plan: ClusterPlan, directory: string, name: string): string {
  const base64 = (file: string): string => readFileSync(join(directory, file)).toString('base64');
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': plan.name,
    clusters: [{ name: plan.name, cluster: { server: plan.apiUrl, 'certificate-authority-data': base64('ca.crt') } }],
    users: [{ name, user: { 'client-certificate-data': base64(`${name}.crt`), 'client-key-data': base64(`${name}.key`) } }],
    contexts: [{ name: plan.name, context: { cluster: plan.name, user: name } }],
  });
}
