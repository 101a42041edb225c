// SPDX-License-Identifier: Apache-2.0
/*
 * Trust anchors learned at run time, kept beside the key in the identity directory, which outlives the container but not the pod: a container that
 * restarts after the anchors of its environment have gone can still reach the identity service.
 */
import { renameSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TrustBundle, parseTrustBundle } from '@weft/pki/lean';
import type { ProxyConfig } from '../config/types.ts';

const FILE = 'trust-anchors.pem';

/** The anchors saved last; undefined where there are none, or none that can be read. */
export async function readSavedAnchors({ identityDir }: ProxyConfig): Promise<TrustBundle | undefined> {
  try {
    return parseTrustBundle(await readFile(join(identityDir, FILE), 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Saves the anchors; returns what went wrong. Synchronous, since it is a few kilobytes to memory a few times a year, and two changes in a row must not
 * cross.
 */
export function saveAnchors({ identityDir }: ProxyConfig, anchorsPem: readonly string[]): string | undefined {
  const path = join(identityDir, FILE);
  try {
    writeFileSync(`${path}.new`, anchorsPem.join(''), { mode: 0o600 });
    renameSync(`${path}.new`, path);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
