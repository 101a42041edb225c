// SPDX-License-Identifier: Apache-2.0
/* A ClientHello taken apart (RFC 8446 §4.1.2), in the form of testdata/client-hello-fields.json. */

export interface ClientHelloFacts {
  readonly record_version: string;
  readonly legacy_version: string;
  readonly session_id_length: number;
  readonly cipher_suites: readonly string[];
  readonly compression: string;
  readonly extensions: readonly {
    readonly type: number;
    readonly length: number;
    readonly data?: string;
    /** Of key_share: group and length of each. */
    readonly shares?: readonly { readonly group: string; readonly length: number }[];
  }[];
}

const KEY_SHARE = 51;

/** Takes one record apart; throws where it is none. */
export function clientHelloFacts(recordHex: string): ClientHelloFacts {
  const bytes = Buffer.from(recordHex, 'hex');
  let at = 0;
  const take = (count: number): Buffer => {
    const taken = bytes.subarray(at, at + count);
    if (taken.length < count) throw new Error('the ClientHello is cut');
    at += count;
    return taken;
  };
  const vector = (lengthBytes: number): Buffer => take(take(lengthBytes).readUIntBE(0, lengthBytes));
  if (take(1)[0] !== 22) throw new Error('not a handshake record');
  const record_version = take(2).toString('hex');
  take(2);
  if (take(1)[0] !== 1) throw new Error('not a ClientHello');
  take(3);
  const legacy_version = take(2).toString('hex');
  take(32);
  const session_id_length = vector(1).length;
  const cipher_suites = vector(2).toString('hex').match(/.{4}/g) ?? [];
  const compression = vector(1).toString('hex');
  const extensions: ClientHelloFacts['extensions'][number][] = [];
  let left = take(2).readUInt16BE(0);
  while (left > 0) {
    const type = take(2).readUInt16BE(0);
    const data = vector(2);
    left -= 4 + data.length;
    extensions.push({ type, length: data.length, ...(type === KEY_SHARE ? { shares: sharesOf(data) } : { data: data.toString('hex') }) });
  }
  return { record_version, legacy_version, session_id_length, cipher_suites, compression, extensions };
}

function sharesOf(data: Buffer): { group: string; length: number }[] {
  const shares = [];
  for (let at = 2; at + 4 <= data.length;) {
    const length = data.readUInt16BE(at + 2);
    shares.push({ group: `0x${data.subarray(at, at + 2).toString('hex')}`, length });
    at += 4 + length;
  }
  return shares;
}
