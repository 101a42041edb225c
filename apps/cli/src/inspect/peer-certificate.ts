// SPDX-License-Identifier: Apache-2.0
/*
 * The certificate that a proxy shows on its admin port. It is shown to the user, not trusted: whether its chain holds is what the user
 * wants to see, so nothing is verified, and nothing is sent over the connection.
 */
import { X509Certificate } from 'node:crypto';
import { connect } from 'node:tls';

/** From connecting to the end of the handshake. */
const HANDSHAKE_MS = 10_000;

/** The leaf that a TLS server at this address shows for a name. Rejects with Error. */
export async function peerCertificate(host: string, port: number, servername: string): Promise<X509Certificate> {
  const { promise, resolve, reject } = Promise.withResolvers<X509Certificate>();
  const socket = connect({ host, port, servername, rejectUnauthorized: false, minVersion: 'TLSv1.2' }, () => {
    const raw = socket.getPeerCertificate().raw as Buffer | undefined;
    if (raw === undefined) reject(new Error('the proxy showed no certificate'));
    else resolve(new X509Certificate(raw));
  });
  socket.on('error', reject);
  socket.on('close', () => reject(new Error('the connection was closed before the handshake ended')));
  const timer = setTimeout(() => socket.destroy(new Error(`no handshake within ${HANDSHAKE_MS} ms`)), HANDSHAKE_MS);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}
