// SPDX-License-Identifier: Apache-2.0
/*
 * Linux file capabilities as the bytes of the extended attribute `security.capability` (capabilities(7), "File capability extended attribute
 * versioning"; struct vfs_cap_data, version 2). Version 3, bound to a user namespace, is read but never written: an image knows no namespace.
 */

/** Name of the extended attribute. */
export const CAPABILITY_XATTR = 'security.capability';

/** The capabilities that files of images may carry, by their number in linux/capability.h. */
export const CAPABILITY_NUMBERS = { net_admin: 12, net_raw: 13 } as const;

/** A capability that this package knows by name. */
export type CapabilityName = keyof typeof CAPABILITY_NUMBERS;

/** What a file with capabilities gives to the process that executes it. */
export interface FileCapabilities {
  readonly permitted: readonly CapabilityName[];
  /** The permitted ones are in force at once. The kernel then refuses to execute the file where the bounding set lacks one of them. */
  readonly isEffective: boolean;
}

const REVISION_2 = 0x02000000;
const REVISION_3 = 0x03000000;
const REVISION_MASK = 0xff000000;
const EFFECTIVE_FLAG = 1;

/** The attribute's value: 20 bytes. `setcap cap_net_admin,cap_net_raw+ep` writes the same. */
export function encodeFileCapabilities(capabilities: FileCapabilities): Buffer {
  let mask = 0n;
  for (const name of capabilities.permitted) mask |= 1n << BigInt(CAPABILITY_NUMBERS[name]);
  const value = Buffer.alloc(20);
  value.writeUInt32LE(REVISION_2 + (capabilities.isEffective ? EFFECTIVE_FLAG : 0), 0);
  value.writeUInt32LE(Number(mask & 0xffffffffn), 4);
  value.writeUInt32LE(Number(mask >> 32n), 12);
  return value;
}

/** Reads the attribute. Throws RangeError for other revisions and for capabilities that have no name here. */
export function decodeFileCapabilities(value: Uint8Array): FileCapabilities {
  const bytes = Buffer.from(value);
  const magic = bytes.length < 20 ? 0 : bytes.readUInt32LE(0);
  const revision = (magic & REVISION_MASK) >>> 0;
  if (revision !== REVISION_2 && revision !== REVISION_3) throw new RangeError('security.capability has an unknown revision');
  let mask = BigInt(bytes.readUInt32LE(4)) | (BigInt(bytes.readUInt32LE(12)) << 32n);
  const permitted: CapabilityName[] = [];
  for (const [name, bit] of Object.entries(CAPABILITY_NUMBERS)) {
    if ((mask & (1n << BigInt(bit))) === 0n) continue;
    permitted.push(name as CapabilityName);
    mask &= ~(1n << BigInt(bit));
  }
  if (mask !== 0n) throw new RangeError(`security.capability names capabilities that are not known here: ${mask.toString(2)}`);
  return { permitted, isEffective: (magic & EFFECTIVE_FLAG) !== 0 };
}
