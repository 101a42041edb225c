// SPDX-License-Identifier: Apache-2.0
/* A webhook's Secret as the reference's chart makes it (control-contract §6.2): a leaf that signs itself, and no CA. For tests. */
import { Buffer } from 'node:buffer';
import { createCertificate, encodePem, exportPrivateKeyPem, generateKey } from '@weft/pki';

/** `data` of the Secret. */
export function selfSignedSecret(serverName: string, notBeforeMs: number, notAfterMs: number): Record<string, string> {
  const { privateKey, publicKey } = generateKey();
  const certificate = createCertificate(
    {
      subject: serverName,
      publicKey,
      notBeforeMs,
      notAfterMs,
      keyUsage: ['digitalSignature', 'keyEncipherment'],
      extendedKeyUsage: ['serverAuth', 'clientAuth'],
      dnsNames: [serverName],
    },
    { certificateDer: 'self', privateKey },
  );
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  return { 'tls.crt': base64(encodePem('CERTIFICATE', certificate)), 'tls.key': base64(exportPrivateKeyPem(privateKey)) };
}
