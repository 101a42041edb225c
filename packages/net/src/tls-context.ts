// SPDX-License-Identifier: Apache-2.0
/*
 * The mesh's TLS parameters (proxy-contract §3.4): TLS 1.3 only, the reference's suites, groups and signature algorithms in its
 * order, no resumption. A context never changes: renewal makes a new one for new handshakes.
 */
import { constants } from 'node:crypto';
import { createSecureContext, createServer, type SecureContext, type SecureContextOptions, type Server } from 'node:tls';
import type { TlsClientContext, TlsClientContextOptions, TlsServerContext, TlsServerContextOptions } from './options.ts';

const CIPHER_SUITES = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256';
/** `*` marks the groups for which a client sends a key share at once: the hybrid one, and X25519 for a peer without it. */
const GROUPS = '*X25519MLKEM768:*X25519:P-256:P-384';
/** No RSA-PSS, as in the reference: an RSA leaf cannot take part, an RSA authority above an ECDSA leaf can. */
const SIGNATURE_ALGORITHMS = [
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'rsa_pkcs1_sha512',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha256',
].join(':');

/** Server side; holds a `tls.Server` that never listens, the documented way to wrap a connection that is already open. */
export class ServerContext implements TlsServerContext {
  readonly role = 'server' as const;
  readonly server: Server;

  constructor(options: TlsServerContextOptions) {
    this.server = createServer({
      ...parametersOf(options),
      ...(options.alpn === undefined ? {} : { ALPNProtocols: [...options.alpn] }),
      requestCert: true,
      // A peer without certificate is let in without identity; one with a bad certificate is turned away by us.
      rejectUnauthorized: false,
      pauseOnConnect: false,
      allowHalfOpen: true,
      // Ours is the deadline; a negative value starts no timer for each connection.
      handshakeTimeout: -1,
    });
    // tls.Server does not pass `allowPartialTrustChain` on.
    (
      this.server as unknown as { _sharedCreds?: { context?: { setAllowPartialTrustChain?(): void } } }
    )._sharedCreds?.context?.setAllowPartialTrustChain?.();
  }
}

/** Client side. */
export class ClientContext implements TlsClientContext {
  readonly role = 'client' as const;
  readonly secureContext: SecureContext;

  constructor(options: TlsClientContextOptions) {
    this.secureContext = createSecureContext(parametersOf(options));
  }
}

/** Throws an Error of OpenSSL when key and certificate do not fit or a PEM cannot be read; TypeError without trust anchors. */
export function createTlsServerContext(options: TlsServerContextOptions): TlsServerContext {
  return new ServerContext(options);
}

/** As `createTlsServerContext`, for `connectTls`. */
export function createTlsClientContext(options: TlsClientContextOptions): TlsClientContext {
  return new ClientContext(options);
}

function parametersOf(options: TlsClientContextOptions): SecureContextOptions {
  // Without `ca` Node would trust every public authority.
  if (options.trustAnchorsPem.length === 0) throw new TypeError('a TLS context needs at least one trust anchor');
  return {
    ...('key' in options
      ? {
          key: typeof options.key === 'string' ? options.key : options.key.export({ type: 'pkcs8', format: 'pem' }),
          cert: options.certChainPem,
        }
      : {}),
    ca: [...options.trustAnchorsPem],
    // An anchor is trusted because it is one, also when it is not self-signed.
    allowPartialTrustChain: true,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    ciphers: CIPHER_SUITES,
    honorCipherOrder: true,
    ecdhCurve: GROUPS,
    sigalgs: SIGNATURE_ALGORITHMS,
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}
