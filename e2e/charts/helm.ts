// SPDX-License-Identifier: Apache-2.0
/* Helm from the cache of foreign programs, run with nothing of this machine's own settings. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { goTool } from '../../tools/go-tools.ts';

/** Longest output of one render, in bytes. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** A directory for one test file's charts and values; `remove` deletes it. */
export class HelmWorkspace {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'weft-helm-'));
  private count = 0;

  /** Writes a values file and returns its path. */
  valuesFile(values: unknown): string {
    this.count += 1;
    const path = join(this.directory, `values-${this.count}.json`);
    writeFileSync(path, JSON.stringify(values));
    return path;
  }

  /** Runs Helm and returns what it printed. Throws where it fails. */
  helm(...args: readonly string[]): string {
    const { status, stdout, stderr } = this.run(args);
    if (status !== 0) throw new Error(`helm ${args.join(' ')}: ${stdout}${stderr}`);
    return stdout;
  }

  /** Runs Helm, which has to refuse, and returns its complaint. Throws where it does not. */
  refusal(...args: readonly string[]): string {
    const { status, stderr } = this.run(args);
    if (status === 0) throw new Error(`helm ${args.join(' ')} did not fail`);
    return stderr;
  }

  private run(args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
    const home = join(this.directory, 'home');
    const { status, stdout, stderr, error } = spawnSync(goTool('helm', 'helm'), args, {
      encoding: 'utf8',
      maxBuffer: MAX_OUTPUT_BYTES,
      env: { HOME: home, HELM_CACHE_HOME: home, HELM_CONFIG_HOME: home, HELM_DATA_HOME: home, PATH: process.env.PATH ?? '' },
    });
    if (error !== undefined) throw error;
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
