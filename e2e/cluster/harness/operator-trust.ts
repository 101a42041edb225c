// SPDX-License-Identifier: Apache-2.0
/* Trust that an operator brings to an installation: a root and an issuer under it, as files for the flags of `weft install`. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestAuthority, type TestAuthority } from '@weft/pki/testing';
import type { Kube } from './kube.ts';

export interface OperatorTrust {
  readonly root: TestAuthority;
  /** Flags of `weft install` that name the files. */
  readonly installArgs: readonly string[];
  /** Takes the files away. */
  remove(): void;
}

export function createOperatorTrust(): OperatorTrust {
  const directory = mkdtempSync(join(tmpdir(), 'weft-trust-'));
  const root = createTestAuthority('root.linkerd.cluster.local');
  const issuer = createTestAuthority('identity.linkerd.cluster.local', { parent: root });
  const installArgs: string[] = [];
  for (const [flag, name, text] of [
    ['--identity-trust-anchors-file', 'ca.crt', root.certificatePem],
    ['--identity-issuer-certificate-file', 'issuer.crt', issuer.certificatePem],
    ['--identity-issuer-key-file', 'issuer.key', issuer.privateKeyPem],
  ] as const) {
    writeFileSync(join(directory, name), text);
    installArgs.push(flag, join(directory, name));
  }
  return { root, installArgs, remove: () => rmSync(directory, { recursive: true, force: true }) };
}

/** Puts another issuer into the Secret of the control plane's namespace; the kubelet brings it into running pods within about a minute. */
export async function replaceIssuer(control: Kube, { certificatePem, privateKeyPem }: TestAuthority): Promise<void> {
  const patch = { stringData: { 'crt.pem': certificatePem, 'key.pem': privateKeyPem } };
  await control.kubectl(['patch', 'secret', 'linkerd-identity-issuer', '-p', JSON.stringify(patch)]);
}
