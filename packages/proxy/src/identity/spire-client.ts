// SPDX-License-Identifier: Apache-2.0
/*
 * Certificates from a SPIFFE workload API (proxy-contract §3.3; SPIFFE Workload API §5, X.509-SVID profile): one stream, on which the agent sends all
 * identities of this workload whenever one changes, keys included. The one of the configured ID is taken. Bundles in the answer are ignored: the
 * anchors stay those of the environment.
 *
 *   connecting ──answer──► open ──answer──► …
 *        └──InvalidArgument──► ended     └──any other end: back-off──► connecting
 */
import { Buffer } from 'node:buffer';
import { createPrivateKey } from 'node:crypto';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import type { Backoff } from '../config/types.ts';
import { GRPC_INVALID_ARGUMENT, type GrpcCaller } from '../control/grpc-client.ts';
import { WatchStream } from '../control/watch-stream.ts';
import type { Clock } from '../runtime.ts';
import type { IssuedCertificate } from './certify-client.ts';

const PATH = '/SpiffeWorkloadAPI/FetchX509SVID';
/** Without it an agent refuses the call: it keeps web pages from asking on a user's behalf (SPIFFE Workload Endpoint §5). */
const METADATA: readonly string[] = ['workload.spiffe.io', 'true'];
/** Identities and certificates looked at in one answer. */
const MAX_SVIDS = 100;
const MAX_CHAIN_CERTIFICATES = 16;

export interface SpireClientDeps {
  readonly spiffeId: string;
  readonly backoff: Backoff;
  readonly clock: Clock;
  /** Each answer: a certificate, or what is wrong with it; also each failed opening. */
  onResult(result: IssuedCertificate | string): void;
}

export class SpireClient {
  private readonly deps: SpireClientDeps;
  private stream: WatchStream | undefined = undefined;

  constructor(deps: SpireClientDeps) {
    this.deps = deps;
  }

  start(channel: GrpcCaller): void {
    const { deps } = this;
    this.stream = new WatchStream({
      channel,
      path: PATH,
      request: new Uint8Array(0),
      metadata: METADATA,
      limits: { initialTimeoutMs: undefined, idleTimeoutMs: undefined, lifetimeMs: undefined },
      backoff: deps.backoff,
      clock: deps.clock,
      onMessage: (message) => deps.onResult(readSvid(message, deps.spiffeId)),
      shouldRetry: (status, message) => {
        deps.onResult(`SPIFFE workload API: ${message === '' ? 'the stream ended' : message} (gRPC status ${status})`);
        return status !== GRPC_INVALID_ARGUMENT;
      },
    });
  }

  close(): void {
    this.stream?.close();
  }
}

interface Svid {
  spiffeId: string;
  /** Certificates in DER, one behind the other, leaf first. */
  chain: Uint8Array;
  /** PKCS#8 DER. */
  key: Uint8Array;
}

/** The identity's certificate out of an X509SVIDResponse, or what is wrong. */
export function readSvid(message: Uint8Array, spiffeId: string): IssuedCertificate | string {
  let svids: readonly Svid[];
  try {
    svids = readResponse(message);
  } catch (error) {
    return `SPIFFE workload API sent an unreadable answer: ${(error as Error).message}`;
  }
  const found = svids.find((svid) => svid.spiffeId === spiffeId);
  if (found === undefined) return `SPIFFE workload API has no certificate for ${spiffeId} among ${svids.length}`;
  const [leafDer, ...intermediatesDer] = splitDer(found.chain);
  if (leafDer === undefined) return 'SPIFFE workload API sent a certificate chain that is not DER';
  try {
    const privateKey = createPrivateKey({ key: Buffer.from(found.key), format: 'der', type: 'pkcs8' });
    return { leafDer, intermediatesDer, privateKey, validUntilMs: undefined };
  } catch {
    return 'SPIFFE workload API sent a private key that is not PKCS#8';
  }
}

/** `X509SVIDResponse { repeated X509SVID svids = 1; … }` */
function readResponse(message: Uint8Array): Svid[] {
  const reader = new BinaryReader(message);
  const svids: Svid[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) {
      if (svids.push(readOne(reader.bytes())) > MAX_SVIDS) throw new RangeError(`more than ${MAX_SVIDS} identities`);
    } else reader.skip(type);
  }
  return svids;
}

/** `X509SVID { string spiffe_id = 1; bytes x509_svid = 2; bytes x509_svid_key = 3; … }` */
function readOne(message: Uint8Array): Svid {
  const reader = new BinaryReader(message);
  const svid: Svid = { spiffeId: '', chain: new Uint8Array(0), key: new Uint8Array(0) };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (type !== WireType.LengthDelimited) reader.skip(type);
    else if (field === 1) svid.spiffeId = reader.string();
    else if (field === 2) svid.chain = reader.bytes();
    else if (field === 3) svid.key = reader.bytes();
    else reader.skip(type);
  }
  return svid;
}

/** Cuts concatenated DER SEQUENCEs; empty where they are not just that. What is in them is verified with the chain. */
function splitDer(bytes: Uint8Array): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = bytes[at + 1] ?? 0;
    if (bytes[at] !== 0x30 || length === 0x80 || length > 0x84 || parts.length === MAX_CHAIN_CERTIFICATES) return [];
    const lengthBytes = length < 0x80 ? 0 : length - 0x80;
    let size = lengthBytes === 0 ? length : 0;
    for (let i = 0; i < lengthBytes; i++) size = size * 256 + (bytes[at + 2 + i] ?? 0);
    const end = at + 2 + lengthBytes + size;
    if (end > bytes.length) return [];
    parts.push(Buffer.from(bytes.subarray(at, end)));
    at = end;
  }
  return parts;
}
