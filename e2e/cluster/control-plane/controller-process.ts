// SPDX-License-Identifier: Apache-2.0
/*
 * A sub-command of the controller as a process of its own outside of the cluster: the very arguments that the chart passes, with listening
 * addresses on loopback and the credentials of the service account that the chart gives it.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { create, fromBinary, toBinary, type DescMessage, type DescMethod, type MessageShape } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import type { ResourceKind } from '@weft/resources';

import type { TestApiServer } from './api-server.ts';

const APP_DIRECTORY = fileURLToPath(new URL('../../../apps/controller/', import.meta.url));
/** Starting compiles TypeScript on the fly, perhaps on a busy machine. */
const START_MS = 30_000;

/** Streams are given ten seconds to end. */
const STOP_MS = 15_000;

/** A gRPC stream as it goes. */
export interface RunningStream<Output extends DescMessage> {
  readonly messages: MessageShape<Output>[];
  readonly status: Promise<{ readonly code: number; readonly details: string }>;
  cancel(): void;
}

/** A running sub-command. */
export interface ControllerProcess {
  readonly process: ChildProcess;
  readonly exitCode: Promise<number | null>;
  /** Where it serves. */
  readonly port: number;
  /** Everything that it logged. */
  readonly log: () => string;
  /** `STATUS body` of a path of the admin server. */
  get(path: string): Promise<string>;
  call<M extends DescMethod>(method: M, request: object): Promise<MessageShape<M['output']>>;
  stream<M extends DescMethod>(method: M, request: object, metadata?: Readonly<Record<string, string>>): RunningStream<M['output']>;
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** A kubeconfig file with a fresh token of a service account; `remove` deletes it. */
export async function serviceAccountKubeconfig(
  api: TestApiServer,
  namespace: string,
  name: string,
): Promise<{ readonly path: string; remove(): void }> {
  const directory = mkdtempSync(join(tmpdir(), 'weft-e2e-'));
  const tls = typeof api.connection.tls === 'function' ? await api.connection.tls() : api.connection.tls;
  writeFileSync(join(directory, 'ca.crt'), String(tls?.ca));
  writeFileSync(join(directory, 'token'), await requestToken(api, namespace, name));
  const path = join(directory, 'kubeconfig');
  writeFileSync(
    path,
    JSON.stringify({
      'current-context': 'e2e',
      clusters: [{ name: 'e2e', cluster: { server: api.connection.baseUrl, 'certificate-authority': 'ca.crt' } }],
      users: [{ name, user: { tokenFile: 'token' } }],
      contexts: [{ name: 'e2e', context: { cluster: 'e2e', user: name } }],
    }),
  );
  return { path, remove: () => rmSync(directory, { recursive: true }) };
}

/** A token of a service account, for the API server or for the given audience. */
export async function requestToken(api: TestApiServer, namespace: string, name: string, audience?: string): Promise<string> {
  const kind: ResourceKind = {
    group: '',
    version: 'v1',
    kind: 'TokenRequest',
    plural: `serviceaccounts/${name}/token`,
    isNamespaced: true,
  };
  const { status } = await api.source.create(kind, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    metadata: { name, namespace },
    spec: { audiences: audience === undefined ? [] : [audience], expirationSeconds: 3600 },
  });
  return (status as { readonly token: string }).token;
}

/**
 * Starts a sub-command; `hostname` is the pod's name that it takes itself for. Resolves once it logs `listening`, with its port. Rejects where it
 * ends first.
 */
export async function startController(
  args: readonly string[],
  hostname: string,
  main: readonly string[] = ['--conditions=weft-source', 'src/main.ts'],
  listening: string = 'gRPC server listening',
): Promise<ControllerProcess> {
  const child = spawn(process.execPath, [...main, ...args], {
    cwd: APP_DIRECTORY,
    env: { PATH: process.env['PATH'] ?? '', HOSTNAME: hostname },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exitCode = once(child, 'exit').then(([code]) => code as number | null);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const portOf = (message: string): number => {
    const line = output.split('\n').find((one) => one.includes(message)) ?? '{}';
    const event = JSON.parse(line) as { port?: number; fields?: { port: number } };
    return event.port ?? event.fields?.port ?? 0;
  };
  const deadlineMs = performance.now() + START_MS;
  while (portOf(listening) === 0) {
    if (child.exitCode !== null || performance.now() > deadlineMs) {
      child.kill('SIGKILL');
      throw new Error(`${args[0]} did not start (exit code ${child.exitCode}):\n${output}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const client = new Client(`127.0.0.1:${portOf(listening)}`, credentials.createInsecure());
  const encode =
    <D extends DescMessage>(schema: D) =>
    (message: MessageShape<D>): Buffer =>
      Buffer.from(toBinary(schema, message));
  const decode =
    <D extends DescMessage>(schema: D) =>
    (bytes: Buffer): MessageShape<D> =>
      fromBinary(schema, bytes);
  const pathOf = (method: DescMethod): string => `/${method.parent.typeName}/${method.name}`;
  return {
    process: child,
    exitCode,
    port: portOf(listening),
    log: () => output,
    async get(path) {
      const response = await fetch(`http://127.0.0.1:${portOf('Admin server listening')}${path}`);
      return `${response.status} ${await response.text()}`;
    },
    call: (method, request) =>
      new Promise((resolve, reject) => {
        const message = create(method.input, request as Record<string, unknown>);
        client.makeUnaryRequest(pathOf(method), encode(method.input), decode(method.output), message, (error, response) => {
          if (error !== null) reject(error);
          else resolve(response as MessageShape<(typeof method)['output']>);
        });
      }),
    stream(method, request, metadata = {}) {
      type Output = MessageShape<(typeof method)['output']>;
      const headers = new Metadata();
      for (const [key, value] of Object.entries(metadata)) headers.set(key, value);
      const call = client.makeServerStreamRequest(
        pathOf(method),
        encode(method.input),
        decode(method.output) as (bytes: Buffer) => Output,
        create(method.input, request as Record<string, unknown>),
        headers,
      );
      const messages: Output[] = [];
      call.on('data', (one: Output) => messages.push(one));
      const status = new Promise<{ code: number; details: string }>((resolve) => {
        call.on('error', (error: ServiceError) => resolve({ code: error.code, details: error.details }));
        call.on('end', () => resolve({ code: 0, details: '' }));
      });
      return { messages, status, cancel: () => call.cancel() };
    },
    async stop(signal = 'SIGTERM') {
      client.close();
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      const code = await exitCode;
      clearTimeout(timer);
      return code;
    },
  };
}
