// SPDX-License-Identifier: Apache-2.0
/*
 * The foreign programs of the conformance tests: Go modules pinned by the go.mod and go.sum beside this file, built into a cache outside the
 * checkout under their version, so that each is built once per machine.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../tools/cache.ts';
import { goRoot } from '../../tools/go-toolchain.ts';

const HERE = import.meta.dirname;

export type GoTool = 'h2spec' | 'interop-client' | 'interop-server';

/** Name → module directory, module whose version counts, package to build. */
const TOOLS: Readonly<Record<GoTool, readonly [string, string, string]>> = {
  h2spec: ['h2spec', 'github.com/summerwind/h2spec', 'github.com/summerwind/h2spec/cmd/h2spec'],
  'interop-client': ['grpc-interop', 'google.golang.org/grpc', 'google.golang.org/grpc/interop/client'],
  'interop-server': ['grpc-interop', 'google.golang.org/grpc', 'google.golang.org/grpc/interop/server'],
};

/** Where a tool's binary is, once built. */
export function goTool(name: GoTool): string {
  const [directory, module] = TOOLS[name];
  const manifest = readFileSync(join(HERE, 'go', directory, 'go.mod'), 'utf8');
  const version = new RegExp(`${module.replaceAll('.', '\\.')} (v\\S+)`).exec(manifest)?.[1];
  if (version === undefined) throw new Error(`${directory}/go.mod does not require ${module}`);
  return join(cacheDirectory(), 'bin', `${name}-${version.replace('+', '-')}`);
}

/** Builds what is not in the cache yet. Returns what is in the way, undefined where nothing is. */
export async function buildGoTools(log: (line: string) => void): Promise<string | undefined> {
  const missing = (Object.keys(TOOLS) as GoTool[]).filter((name) => !existsSync(goTool(name)));
  if (missing.length === 0) return undefined;
  let go: string;
  try {
    go = join(await goRoot(log), 'bin/go');
  } catch (error) {
    return `${missing.join(', ')} must be built: ${(error as Error).message}`;
  }
  for (const name of missing) {
    const [directory, , target] = TOOLS[name];
    const binary = goTool(name);
    mkdirSync(join(binary, '..'), { recursive: true });
    // Two runs may build at once: what is in place is always whole.
    const partial = `${binary}.${process.pid}`;
    const args = ['build', '-trimpath', '-mod=readonly', '-o', partial, target];
    log(`$ cd e2e/conformance/go/${directory} && go ${args.join(' ')}`);
    try {
      execFileSync(go, args, {
        cwd: join(HERE, 'go', directory),
        stdio: 'inherit',
        // A Go older than the one that go.mod names fetches that one.
        env: { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'auto', GOFLAGS: '-buildvcs=false' },
      });
    } catch {
      return `go could not build ${name} (${execFileSync(go, ['version'], { encoding: 'utf8' }).trim()})`;
    }
    renameSync(partial, binary);
  }
  return undefined;
}
