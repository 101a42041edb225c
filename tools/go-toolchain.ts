// SPDX-License-Identifier: Apache-2.0
/*
 * Which Go builds the foreign programs, and where it comes from. Any Go from 1.21 on will do (an older one than a go.mod names fetches that one
 * itself): /usr/local/go first, then the PATH. A machine without one gets the toolchain that the Go project publishes as a module,
 * `golang.org/toolchain`, from the module proxy (GOPROXY, else proxy.golang.org), checked against the digest below, into the cache.
 * As a program it prints the GOROOT: `export PATH="$(node tools/go-toolchain.ts)/bin:$PATH"`.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from './cache.ts';

/** The version that is fetched, which is also the highest that any go.mod here names. */
export const GO_VERSION = '1.26.8';

/** From this minor version of Go 1 on, `go` fetches the toolchain that a go.mod asks for. */
const OLDEST_USABLE_MINOR = 21;

/** SHA-256 of the module's zip file; both were compared with the checksum database (sum.golang.org). */
const ZIP_SHA256: Readonly<Record<string, string>> = {
  'linux-amd64': '30c2b1bf7dcc88d3eb0a1364e47ddd9128edb3110a30e8a0ef61cd5856b31de7',
  'linux-arm64': '02b36b6787b3ac767668f630e2998df45a3b1f9ffee08d1bf3ef6487cd658d99',
};

/** GOROOT of a usable Go, fetched where the machine has none. Throws where that is not possible. */
export async function goRoot(log: (line: string) => void): Promise<string> {
  for (const directory of ['/usr/local/go/bin', ...(process.env.PATH ?? '').split(':')]) {
    const binary = join(directory, 'go');
    if (!existsSync(binary)) continue;
    const said = execFileSync(binary, ['env', 'GOVERSION', 'GOROOT'], { encoding: 'utf8', env: { ...process.env, GOTOOLCHAIN: 'local' } });
    const [version = '', root = ''] = said.split('\n');
    if (Number(/^go1\.(\d+)/.exec(version)?.[1] ?? 0) >= OLDEST_USABLE_MINOR) return root;
    log(`${binary} is ${version === '' ? 'older than 1.21' : version}: not used`);
  }
  return fetchToolchain(log);
}

/** Fetches the toolchain module, whatever Go the machine has. */
export async function fetchToolchain(log: (line: string) => void): Promise<string> {
  const platform = `linux-${process.arch === 'x64' ? 'amd64' : process.arch}`;
  const home = join(cacheDirectory(), `go-${GO_VERSION}-${platform}`);
  if (existsSync(home)) return home;
  const wanted = ZIP_SHA256[platform];
  if (process.platform !== 'linux' || wanted === undefined)
    throw new Error(`no Go is pinned for ${process.platform} ${process.arch}: install any Go from 1.21 on`);
  const url = `${moduleProxy()}/golang.org/toolchain/@v/v0.0.1-go${GO_VERSION}.${platform}.zip`;
  log(`fetching Go ${GO_VERSION} from ${url}`);
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status} ${answer.statusText}`);
  const zip = Buffer.from(await answer.arrayBuffer());
  const digest = createHash('sha256').update(zip).digest('hex');
  if (digest !== wanted) throw new Error(`${url} has the SHA-256 ${digest}, not ${wanted}: not used`);
  const partial = `${home}.${process.pid}`;
  mkdirSync(partial, { recursive: true });
  try {
    writeFileSync(join(partial, 'toolchain.zip'), zip);
    execFileSync('python3', ['-m', 'zipfile', '-e', join(partial, 'toolchain.zip'), partial]);
    const root = join(partial, `golang.org/toolchain@v0.0.1-go${GO_VERSION}.${platform}`);
    // A module's zip file carries no modes.
    for (const directory of ['bin', `pkg/tool/${platform.replace('-', '_')}`])
      for (const name of readdirSync(join(root, directory))) chmodSync(join(root, directory, name), 0o755);
    if (!existsSync(home)) renameSync(root, home);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
  return home;
}

/** The first proxy of GOPROXY that can be asked over HTTP. */
function moduleProxy(): string {
  return (
    (process.env.GOPROXY ?? '')
      .split(/[,|]/)
      .find((entry) => entry.startsWith('http'))
      ?.replace(/\/$/, '') ?? 'https://proxy.golang.org'
  );
}

if (process.argv[1] !== undefined && import.meta.filename === process.argv[1]) console.log(await goRoot((line) => console.error(line)));
