// SPDX-License-Identifier: Apache-2.0
/*
 * Compiles launcher/launcher.c for one executable of an image. Flags of Node come from the app's package.json (`weft.nodeFlags`), where all other
 * ways to start the app take them from, too.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Architecture, CAPABILITY_NUMBERS } from '@weft/oci';
import { cached, inputsKey } from './cache.ts';
import { type Launcher, NODE_PATH, bundlePath } from './description.ts';

/** Compiler by target. Where the machine is of the target's architecture, plain `gcc` does as well. */
const COMPILERS: Readonly<Record<Architecture, { command: string; nativeArch: NodeJS.Architecture; debian: string }>> = {
  amd64: { command: 'x86_64-linux-gnu-gcc', nativeArch: 'x64', debian: 'gcc-x86-64-linux-gnu' },
  arm64: { command: 'aarch64-linux-gnu-gcc', nativeArch: 'arm64', debian: 'gcc-aarch64-linux-gnu' },
};

/** The compiler's flags: freestanding, static, without build id, so that the same compiler gives the same bytes. */
export const COMPILER_FLAGS: readonly string[] = [
  ...['-Os', '-std=gnu11', '-Wall', '-Wextra', '-Werror', '-ffreestanding', '-fno-builtin', '-fno-stack-protector', '-fcf-protection=none'],
  ...['-fno-asynchronous-unwind-tables', '-fno-tree-loop-distribute-patterns', '-nostdlib', '-static', '-no-pie', '-s'],
  ...['-Wl,--build-id=none', '-Wl,-z,noexecstack'],
];

/** The definitions for one launcher, as compiler arguments without a shell's quoting. */
export function launcherDefinitions(launcher: Launcher, nodeFlags: readonly string[]): string[] {
  const args = [...nodeFlags, bundlePath(launcher), ...(launcher.leadingArguments ?? [])];
  const ambient = (launcher.capabilities ?? []).map((name) => CAPABILITY_NUMBERS[name]);
  return [
    `-DWEFT_NODE=${JSON.stringify(NODE_PATH)}`,
    `-DWEFT_ARGS=${args.map((arg) => JSON.stringify(arg)).join(',')}`,
    ...(ambient.length === 0 ? [] : [`-DWEFT_AMBIENT=${ambient.join(',')}`]),
  ];
}

/** Node's flags for an app. */
export function nodeFlags(root: string, app: string): readonly string[] {
  const manifest = JSON.parse(readFileSync(join(root, 'apps', app, 'package.json'), 'utf8')) as {
    weft?: { nodeFlags?: readonly string[] };
  };
  return manifest.weft?.nodeFlags ?? [];
}

/** The launcher's bytes. Throws where there is no compiler for the architecture, saying which package has it. */
export async function compileLauncher(root: string, launcher: Launcher, architecture: Architecture): Promise<Buffer> {
  const source = join(root, 'images/launcher/launcher.c');
  const definitions = launcherDefinitions(launcher, nodeFlags(root, launcher.app));
  const { command, version } = compiler(architecture);
  const key = inputsKey(readFileSync(source), version, ...COMPILER_FLAGS, ...definitions);
  return cached(`launchers/${architecture}-${key}`, () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-launcher-'));
    try {
      execFileSync(command, [...COMPILER_FLAGS, ...definitions, '-o', join(directory, 'launcher'), source], { stdio: 'inherit' });
      return readFileSync(join(directory, 'launcher'));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
}

/** The compiler's command and version text. */
export function compiler(architecture: Architecture): { command: string; version: string } {
  const { command, nativeArch, debian } = COMPILERS[architecture];
  for (const candidate of process.arch === nativeArch ? ['gcc', command] : [command]) {
    try {
      return { command: candidate, version: execFileSync(candidate, ['--version'], { stdio: ['ignore', 'pipe', 'ignore'] }).toString() };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  throw new Error(`no C compiler for ${architecture}: \`apt-get install ${process.arch === nativeArch ? 'gcc' : debian}\``);
}
