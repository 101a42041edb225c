// SPDX-License-Identifier: Apache-2.0
import { once } from 'node:events';
import { connect, createServer, type PeerCertificate, type TLSSocket } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { readCertificate, readSubjectAltNames, verifyChain, type ChainPurpose } from './index.ts';
import { createTestAuthority, createTestMesh, type LeafOverrides } from './testing.ts';

const nowMs = Date.parse('2026-11-23T12:00:00Z');
const mesh = createTestMesh({ nowMs });
const identity = mesh.identityOf('web', 'shop');
const anchorsDer = [mesh.anchor.certificateDer];

function verify(overrides: LeafOverrides, purpose: ChainPurpose = 'server'): string {
  const leaf = mesh.leafFor(identity, overrides);
  const result = verifyChain({ leafDer: leaf.certificateDer, intermediatesDer: leaf.intermediatesDer, anchorsDer, nowMs, purpose });
  return 'error' in result ? result.error : 'ok';
}

describe('verifyChain over fixture leaves', () => {
  it.each<[string, LeafOverrides, ChainPurpose, string | RegExp]>([
    ['a good leaf as server', {}, 'server', 'ok'],
    ['a good leaf as client', {}, 'client', 'ok'],
    ['a URI name', { dnsNames: [], uris: ['spiffe://cluster.local/web'] }, 'client', 'ok'],
    ['a leaf signed directly by the anchor', { issuer: mesh.anchor }, 'server', 'ok'],
    ['expired', { isExpired: true }, 'server', /expired at .*; now it is 20/],
    ['not yet valid', { isNotYetValid: true }, 'server', /not valid before .*; now it is 20/],
    ['the issuer name of the mesh with a foreign key', { isForeign: true }, 'server', /unknown authority/],
    ['a foreign CA', { issuer: createTestAuthority('evil') }, 'server', /unknown authority/],
    ['only clientAuth as server', { extendedKeyUsage: ['clientAuth'] }, 'server', /lacks serverAuth/],
    ['only serverAuth as client', { extendedKeyUsage: ['serverAuth'] }, 'client', /lacks clientAuth/],
    ['a CA key usage', { keyUsage: ['keyCertSign'] }, 'server', /lacks digitalSignature/],
    ['a leaf used as issuer', {}, 'issuer', /not a CA/],
  ])('[ID-05] answers for %s', (_name, overrides, purpose, expected) => {
    expect(verify(overrides, purpose)).toMatch(expected);
  });

  it('holds a CA to its path length', () => {
    const limited = createTestAuthority('limited', { parent: mesh.anchor, pathLength: 0, nowMs });
    const below = createTestAuthority('below', { parent: limited, nowMs });
    const leaf = mesh.leafFor(identity, { issuer: below });
    const result = verifyChain({
      leafDer: leaf.certificateDer,
      intermediatesDer: [below.certificateDer, limited.certificateDer],
      anchorsDer,
      nowMs,
      purpose: 'server',
    });
    expect(result).toEqual({ error: 'CA certificate: path length exceeded' });
  });

  it('reports the earliest end of the path', () => {
    const leaf = mesh.leafFor(identity);
    const result = verifyChain({
      leafDer: leaf.certificateDer,
      intermediatesDer: leaf.intermediatesDer,
      anchorsDer,
      nowMs,
      purpose: 'server',
    });
    expect(result).toMatchObject({ notAfterMs: nowMs + 24 * 3_600_000 + 20_000 });
  });
});

describe('fixture leaves', () => {
  it('[ID-01] carry the identity as only DNS name', () => {
    expect(identity).toBe('web.shop.serviceaccount.identity.linkerd.cluster.local');
    expect(readSubjectAltNames(mesh.leafFor(identity).certificateDer)).toEqual({
      dns: [identity],
      uris: [],
      identities: [identity],
      isMalformed: false,
    });
  });

  it('name both kinds in the order written', () => {
    const leaf = mesh.leafFor(identity, { dnsNames: ['A.example'], uris: ['spiffe://Cluster.local/x'] });
    expect(readSubjectAltNames(leaf.certificateDer).identities).toEqual(['a.example', 'spiffe://Cluster.local/x']);
  });

  it('have random serials and the times asked for', () => {
    const serials = new Set<string>();
    for (let i = 0; i < 20; i++) {
      const result = readCertificate(
        mesh.leafFor(identity, { notBeforeMs: nowMs, notAfterMs: Date.parse('2051-01-01T00:00:00Z') }).certificateDer,
      );
      if ('error' in result) throw new Error(result.error);
      serials.add(Buffer.from(result.fields.serial).toString('hex'));
      expect([result.fields.notBeforeMs, result.fields.notAfterMs]).toEqual([nowMs, Date.parse('2051-01-01T00:00:00Z')]);
    }
    expect(serials.size).toBe(20);
  });

  it.each(['p256', 'p384', 'ed25519'] as const)('[ID-02] make a mutual TLS 1.3 handshake with a %s key', async (keyKind) => {
    const live = createTestMesh();
    const server = live.leafFor('server.example', { keyKind });
    const client = live.leafFor('client.example', { keyKind });
    const ca = [...live.trustAnchorsPem];
    const listener = createServer({ key: server.privateKeyPem, cert: server.chainPem, ca, requestCert: true, minVersion: 'TLSv1.3' });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const accepted = once(listener, 'secureConnection') as Promise<[TLSSocket]>;
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca,
      key: client.privateKeyPem,
      cert: client.chainPem,
      servername: 'server.example',
    });
    await once(socket, 'secureConnect');
    const [peer] = await accepted;
    const raw = (certificate: PeerCertificate): Buffer => certificate.raw;
    expect([socket.authorized, peer.authorized]).toEqual([true, true]);
    expect(readSubjectAltNames(raw(peer.getPeerCertificate())).identities).toEqual(['client.example']);
    socket.destroy();
    peer.destroy();
    listener.close();
  });
});
