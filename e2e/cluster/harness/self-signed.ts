// SPDX-License-Identifier: Apache-2.0
/* A certificate for one server of a test, which is its own authority. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { output } from './command.ts';

export interface SelfSigned {
  readonly key: string;
  /** PEM; also the CA bundle for those who ask the server. */
  readonly certificate: string;
}

/** Names as OpenSSL writes them: `DNS:web.test`, `IP:10.0.0.1`. */
export async function selfSigned(names: readonly string[]): Promise<SelfSigned> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-'));
  try {
    const files = ['-keyout', join(directory, 'key'), '-out', join(directory, 'crt')];
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    await output([
      'openssl',
      'req',
      '-x509',
      ...key,
      '-days',
      '1',
      '-subj',
      '/CN=test',
      '-addext',
      `subjectAltName=${names.join(',')}`,
      ...files,
    ]);
    return { key: readFileSync(join(directory, 'key'), 'utf8'), certificate: readFileSync(join(directory, 'crt'), 'utf8') };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
