// SPDX-License-Identifier: Apache-2.0
/*
 * `weft run DIR`: a mesh on this machine until Ctrl-C, or for a given time.
 */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HostRun, HostRunError, type MeshProgram } from '@weft/host-run';

/** Runs it; resolves with the exit code. */
export async function run(directory: string | undefined, options: Record<string, unknown>, _argv: readonly string[]): Promise<number> {
  if (directory === undefined) return 2;
  const host = new HostRun(
    {
      directory,
      proxy: program('proxy'),
      controller: program('controller'),
      crdDirectory: join(root(), 'charts/weft-crds/files'),
      ...(typeof options['name'] === 'string' ? { name: options['name'] } : {}),
    },
    {
      onEvent: (message) => process.stdout.write(`${message}\n`),
      onProblem: (problem) => process.stdout.write(`problem ${JSON.stringify(problem)}\n`),
      onHealed: (file) => process.stdout.write(`healed ${file}\n`),
      onLine: (pod, container, line) => process.stdout.write(`[${pod.metadata.namespace}/${pod.metadata.name} ${container}] ${line}\n`),
    },
  );
  try {
    await host.start();
  } catch (error) {
    if (!(error instanceof HostRunError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return 1;
  }
  await new Promise<void>((done) => {
    process.once('SIGINT', () => done());
    process.once('SIGTERM', () => done());
  });
  await host.stop();
  return 0;
}

function root(): string {
  return resolve(dirname(fileURLToPath(import.meta.url)), '../../../..');
}

function program(app: string): MeshProgram {
  const directory = join(root(), 'apps', app);
  const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as {
    readonly weft?: { readonly nodeFlags?: readonly string[] };
  };
  const file = join(directory, 'dist/main.js');
  void existsSync;
  return { file, nodeFlags: manifest.weft?.nodeFlags ?? [] };
}
