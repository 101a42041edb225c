// SPDX-License-Identifier: Apache-2.0
/* Runs the load generator that fits a case, in the client's namespace, against one subject. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { APP_PORTS, type BenchCase, type LoadResult, type Subject } from '../cases.ts';
import { ENVOY_SERVICE_IP } from '../envoy.ts';
import { CLIENT_NS, inNamespace, SERVER_IP, SERVICE_IP } from '../rig.ts';
import { finish } from '../shell.ts';
import { fortioArgs, parseFortio } from './fortio.ts';
import { ghzArgs, parseGhz } from './ghz.ts';
import { h2loadArgs, parseH2load } from './h2load.ts';

export interface LoadTools {
  readonly fortio: string;
  readonly ghz: string;
  readonly protoPath: string;
  /** For files that generators write. */
  readonly directory: string;
}

/** Throws when the generator fails as a whole; failed requests are counted in the result. */
export async function runLoad(tools: LoadTools, benchCase: BenchCase, subject: Subject, seconds: number): Promise<LoadResult> {
  const address = addressOf(benchCase, subject);
  const execute = (...command: string[]): Promise<string> => finish('ip', ...inNamespace(CLIENT_NS, ...command));
  switch (benchCase.protocol) {
    case 'http1':
      return parseFortio(await execute(tools.fortio, ...fortioArgs(benchCase, `http://${address}/`, seconds)));
    case 'http2': {
      const logPath = join(tools.directory, 'h2load.tsv');
      rmSync(logPath, { force: true });
      await execute('h2load', ...h2loadArgs(benchCase, `http://${address}/`, seconds, logPath));
      return parseH2load(readFileSync(logPath, 'latin1'), seconds);
    }
    case 'grpc':
      return parseGhz(await execute(tools.ghz, ...ghzArgs(benchCase, address, seconds, tools.protoPath)));
    default:
      return benchCase.protocol satisfies never;
  }
}

function addressOf(benchCase: BenchCase, subject: Subject): string {
  const { meshed, direct } = APP_PORTS[benchCase.protocol];
  switch (subject) {
    case 'direct':
      return `${SERVER_IP}:${direct}`;
    case 'weft':
      return `${SERVICE_IP}:${meshed}`;
    case 'envoy':
      return `${ENVOY_SERVICE_IP}:${meshed}`;
    default:
      return subject satisfies never;
  }
}
