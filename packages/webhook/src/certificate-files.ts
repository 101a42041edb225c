// SPDX-License-Identifier: Apache-2.0
/*
 * A certificate in files, `tls.crt` and `tls.key` of a mounted Secret (control-contract §4.1): taken again when the kubelet swaps the
 * symbolic link `..data`, or in a plain directory when one of the files changes. A pair that cannot be served with leaves the old one in
 * place and is said in the log; so does a directory that went away.
 */
import { watch as watchDirectory, type FSWatcher } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@weft/telemetry';
import { CertificateHolder, pairFlaw } from './certificate-holder.ts';
import type { CertificateSource } from './types.ts';

/** Named limits and times. */
export interface CertificateFileLimits {
  /** Larger files are refused. */
  readonly maxFileBytes: number;
  /** Changes of plain files are taken once nothing moved for this long, so that both halves are read together. */
  readonly settleMs: number;
  /** Until there is a first pair, and as a safety net behind the file events, the files are read this often. */
  readonly rereadMs: number;
}

export const CERTIFICATE_FILE_DEFAULTS: CertificateFileLimits = { maxFileBytes: 1_048_576, settleMs: 100, rereadMs: 10_000 };

/** The names under which Kubernetes mounts a Secret of type kubernetes.io/tls. */
export const CERTIFICATE_FILE: string = 'tls.crt';
export const PRIVATE_KEY_FILE: string = 'tls.key';

/** Watches the pair in a directory. Does not throw for a directory that is missing: `loaded` then waits for it. */
export function watchCertificateFiles(
  directory: string,
  options: { readonly logger: Logger; readonly limits?: Partial<CertificateFileLimits> },
): CertificateSource {
  const { logger } = options;
  const limits = { ...CERTIFICATE_FILE_DEFAULTS, ...options.limits };
  const holder = new CertificateHolder();
  let [isClosed, lastFlaw] = [false, ''];
  let settleTimer: NodeJS.Timeout | undefined;
  let watcher: FSWatcher | undefined;
  let reading = Promise.resolve();

  const take = async (): Promise<void> => {
    let flaw: string | undefined;
    try {
      const [certificatePem, privateKeyPem] = await Promise.all(
        [CERTIFICATE_FILE, PRIVATE_KEY_FILE].map((name) => readText(join(directory, name), limits.maxFileBytes)),
      );
      const pair = { certificatePem: certificatePem ?? '', privateKeyPem: privateKeyPem ?? '' };
      flaw = pairFlaw(pair);
      if (isClosed) return;
      if (flaw === undefined) {
        const isFirst = holder.current === undefined;
        const isNew = isFirst || holder.current?.certificatePem !== pair.certificatePem;
        holder.set(pair);
        if (isNew) logger.info(isFirst ? 'Certificate loaded' : 'Certificate reloaded', { directory });
      }
    } catch (error) {
      flaw = (error as Error).message;
    }
    if (flaw !== undefined && flaw !== lastFlaw) logger.warn('Certificate not taken', { directory, error: flaw });
    lastFlaw = flaw ?? '';
  };
  // One after another: an older pair must not overtake a newer one.
  const read = (): void => {
    reading = reading.then(take);
  };

  const observe = (): void => {
    if (watcher !== undefined) return;
    try {
      watcher = watchDirectory(directory, { persistent: false }, (_event, name) => {
        void isRelevant(directory, name).then((isChange) => {
          if (!isChange || isClosed) return;
          clearTimeout(settleTimer);
          settleTimer = setTimeout(read, limits.settleMs);
        });
      });
      watcher.on('error', () => {
        watcher?.close();
        watcher = undefined;
      });
    } catch {
      // Not there yet: the next re-read tries again.
    }
  };

  const rereadTimer = setInterval(() => {
    observe();
    read();
  }, limits.rereadMs);
  rereadTimer.unref();
  observe();
  read();

  return {
    get current() {
      return holder.current;
    },
    loaded: holder.loaded,
    onChange: (listener) => holder.onChange(listener),
    close() {
      isClosed = true;
      clearInterval(rereadTimer);
      clearTimeout(settleTimer);
      watcher?.close();
      holder.clear();
    },
  };
}

async function isRelevant(directory: string, name: string | null): Promise<boolean> {
  if (name === '..data' || name === null) return true;
  if (name !== CERTIFICATE_FILE && name !== PRIVATE_KEY_FILE) return false;
  return lstat(join(directory, '..data')).then(
    () => false,
    () => true,
  );
}

async function readText(path: string, maxBytes: number): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > maxBytes) throw new RangeError(`${path} is larger than ${maxBytes} bytes`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
