// SPDX-License-Identifier: Apache-2.0
/* The whole rig: namespaces, applications, and the pairs of sidecars to measure, side by side. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { startApplications } from './application.ts';
import { APP_PORTS } from './cases.ts';
import { startEnvoy } from './envoy.ts';
import type { LoadTools } from './load/run-load.ts';
import { createNamespaces, type Sidecars, startWeft } from './rig.ts';
import type { Started } from './shell.ts';
import type { Tools } from './tools.ts';

export interface WorldOptions {
  readonly root: string;
  /** Readable by every user. */
  readonly directory: string;
  readonly tools: Tools;
  readonly proxyMain: string;
  readonly nodeFlags: readonly string[];
  readonly hasEnvoy: boolean;
}

export interface World {
  readonly weft: Sidecars;
  readonly envoy: Sidecars | undefined;
  readonly applications: readonly Started[];
  readonly loadTools: LoadTools;
}

/** Builds the rig up. The caller ends it with `stopRig`, also when this throws. */
export async function createWorld(options: WorldOptions): Promise<World> {
  const { root, directory, tools } = options;
  mkdirSync(directory, { recursive: true, mode: 0o755 });
  createNamespaces();
  const applications = await startApplications(directory, tools.grpcEcho);
  const weft = await startWeft({
    directory,
    node: process.execPath,
    nodeFlags: options.nodeFlags,
    proxyMain: options.proxyMain,
    stubMain: join(root, 'packages/testkit/src/control-stub/main.ts'),
    ports: Object.values(APP_PORTS).map(({ meshed }) => meshed),
    logLevel: 'warn',
  });
  const envoy = options.hasEnvoy
    ? await startEnvoy({ directory, envoy: tools.envoy, configDirectory: join(root, 'bench/config') })
    : undefined;
  const protoPath = join(root, 'bench/grpc-echo/echo.proto');
  return { weft, envoy, applications, loadTools: { fortio: tools.fortio, ghz: tools.ghz, protoPath, directory } };
}
