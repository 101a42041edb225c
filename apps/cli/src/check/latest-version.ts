// SPDX-License-Identifier: Apache-2.0
/*
 * The newest release, from a small file that each release carries: `{"version": "1.2.3"}`. The request says nothing about the cluster or
 * the user. Without the internet, the two checks that need it warn and nothing else happens (features CK-11).
 */
import { CheckFailure } from './check.ts';

/** Where the file is; a mirror can be named in WEFT_VERSION_URL. */
export const LATEST_VERSION_URL = 'https://github.com/weft-mesh/weft/releases/latest/download/version.json';
/** Environment variable with another place. */
export const LATEST_VERSION_VARIABLE = 'WEFT_VERSION_URL';
/** How long the answer may take. */
export const LATEST_VERSION_TIMEOUT_MS = 5000;
/** Longest answer. */
const MAX_ANSWER_BYTES = 65_536;

/** Rejects with CheckFailure when it cannot be known. */
export async function fetchLatestVersion(url: string = process.env[LATEST_VERSION_VARIABLE] ?? LATEST_VERSION_URL): Promise<string> {
  let text: string;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(LATEST_VERSION_TIMEOUT_MS) });
    if (!response.ok) throw new Error(`it answered ${response.status}`);
    text = await response.text();
  } catch (error) {
    // fetch says only that it failed; why is in the cause.
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : (error as Error).message;
    throw new CheckFailure(`Get "${url}": ${reason}`);
  }
  const version = text.length > MAX_ANSWER_BYTES ? undefined : versionIn(text);
  if (version === undefined) throw new CheckFailure(`Get "${url}": the answer names no version`);
  return version;
}

function versionIn(text: string): string | undefined {
  try {
    const { version } = JSON.parse(text) as { readonly version?: unknown };
    return typeof version === 'string' && /^v?\d[\w.+-]*$/.test(version) ? version.replace(/^v/, '') : undefined;
  } catch {
    return undefined;
  }
}
