// SPDX-License-Identifier: Apache-2.0
/*
 * CPU per request of a bare relay: client → relay → echo server, three processes on loopback, closed loop, one small message each way.
 *
 *   node --conditions=weft-source bench/relay.ts <weft|weft-tls|node> <connections> <seconds>
 *
 * `weft-tls` terminates TLS at the relay (the client uses connectTls of this package). Prints one JSON line.
 */
import { type ChildProcess, fork } from 'node:child_process';
import net from 'node:net';
import process from 'node:process';
import { createTestMesh } from '@weft/pki/testing';
import { acceptTls, connect, connectTls, createTlsClientContext, createTlsServerContext, listen } from '../src/index.ts';
import type { ByteStream, TlsContextOptions } from '../src/index.ts';

const MESSAGE_BYTES = 200;

function onEnd(stream: ByteStream): void {
  stream.destroy();
}

function pump(from: ByteStream, to: ByteStream): void {
  from.setSink({
    onRead: (chunk, start, end) => {
      to.out.writeBytes(chunk, start, end);
      to.schedule();
      if (to.isBlocked) from.pauseReading();
    },
    onReadEnd: () => to.end(),
    onDrain: () => to.resumeReading(),
    onClose: () => onEnd(to),
  });
}

async function runRelay(mode: string, upstreamPort: number, tlsOptions: TlsContextOptions): Promise<number> {
  if (mode === 'node') {
    const server = net.createServer({ noDelay: true }, (near) => {
      const far = net.connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
      for (const socket of [near, far]) socket.on('error', () => {});
      near.on('data', (chunk) => far.write(chunk));
      far.on('data', (chunk) => near.write(chunk));
      near.on('close', () => far.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return (server.address() as net.AddressInfo).port;
  }
  const context = createTlsServerContext(tlsOptions);
  const relay = (near: ByteStream): void => {
    near.pauseReading();
    connect(
      { host: '127.0.0.1', port: upstreamPort, timeoutMs: 5_000 },
      {
        onConnect: (far) => {
          pump(near, far);
          pump(far, near);
          near.resumeReading();
        },
        onError: () => near.destroy(),
      },
    );
  };
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    originalDestination: false,
    onConnection: (plain) => {
      if (mode === 'weft-tls') acceptTls(plain, context, {}, { onSecure: relay, onError: () => {} });
      else relay(plain);
    },
    onError: () => {},
  });
  return listener.address.port;
}

async function runClient(
  mode: string,
  port: number,
  connections: number,
  tlsOptions: TlsContextOptions,
  serverName: string,
): Promise<() => number> {
  const context = createTlsClientContext(tlsOptions);
  const message = Buffer.alloc(MESSAGE_BYTES, 0x61);
  let requests = 0;
  const start = (stream: ByteStream): void => {
    let got = 0;
    const send = (): void => {
      stream.out.writeBytes(message, 0, MESSAGE_BYTES);
      stream.schedule();
    };
    stream.setSink({
      onRead: (_chunk, from, to) => {
        got += to - from;
        if (got < MESSAGE_BYTES) return;
        got = 0;
        requests += 1;
        send();
      },
      onReadEnd: () => {},
      onDrain: () => {},
      onClose: () => {},
    });
    send();
  };
  await Promise.all(
    Array.from(
      { length: connections },
      () =>
        new Promise<void>((resolve, reject) => {
          const onError = (error: { code: string }): void => reject(new Error(error.code));
          const onReady = (stream: ByteStream): void => {
            start(stream);
            resolve();
          };
          const onConnect = (plain: ByteStream): void => {
            if (mode === 'weft-tls')
              connectTls(plain, context, { serverName, expectedIdentity: serverName }, { onSecure: onReady, onError });
            else onReady(plain);
          };
          connect({ host: '127.0.0.1', port, timeoutMs: 10_000 }, { onConnect, onError });
        }),
    ),
  );
  return () => requests;
}

async function runEcho(): Promise<number> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    originalDestination: false,
    onConnection: (stream) => pump(stream, stream),
    onError: () => {},
  });
  return listener.address.port;
}

/** The relay's CPU so far in microseconds, and its private memory. */
interface Usage {
  readonly cpuUs: number;
  readonly rssMib: number;
}

if (process.send === undefined) {
  const [mode = 'weft', connections = '32', seconds = '3'] = process.argv.slice(2);
  const mesh = createTestMesh();
  const serverName = mesh.identityOf('bench', 'bench');
  const leaf = mesh.leafFor(serverName);
  const tlsOptions = { key: leaf.privateKeyPem, certChainPem: leaf.chainPem, trustAnchorsPem: mesh.trustAnchorsPem };
  const child = (role: object): Promise<{ process: ChildProcess; answer: number }> =>
    new Promise((resolve) => {
      const forked = fork(new URL(import.meta.url), [], { execArgv: process.execArgv });
      forked.once('message', (answer) => resolve({ process: forked, answer: answer as number }));
      forked.send(role);
    });
  const ask = <Answer>(forked: ChildProcess): Promise<Answer> =>
    new Promise((resolve) => {
      forked.once('message', (answer) => resolve(answer as Answer));
      forked.send('report');
    });
  const echo = await child({ role: 'echo' });
  const relay = await child({ role: 'relay', mode, port: echo.answer, tlsOptions });
  const client = await child({ role: 'client', mode, port: relay.answer, connections: Number(connections), tlsOptions, serverName });
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const [requestsBefore, usageBefore] = await Promise.all([ask<number>(client.process), ask<Usage>(relay.process)]);
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1_000));
  const [requestsAfter, usageAfter] = await Promise.all([ask<number>(client.process), ask<Usage>(relay.process)]);
  const requests = requestsAfter - requestsBefore;
  const cpuUsPerRequest = Number(((usageAfter.cpuUs - usageBefore.cpuUs) / requests).toFixed(1));
  process.stdout.write(
    `${JSON.stringify({ mode, connections: Number(connections), requests, cpuUsPerRequest, rssMib: usageAfter.rssMib })}\n`,
  );
  for (const { process: forked } of [client, relay, echo]) forked.kill();
} else {
  let report: () => unknown = () => 0;
  process.on(
    'message',
    (
      message:
        | 'report'
        | { role: string; mode: string; port: number; connections: number; tlsOptions: TlsContextOptions; serverName: string },
    ) => {
      if (message === 'report') {
        process.send?.(report());
        return;
      }
      const { role, mode, port, connections, tlsOptions, serverName } = message;
      const ready = async (): Promise<void> => {
        if (role === 'client') {
          report = await runClient(mode, port, connections, tlsOptions, serverName);
          process.send?.(0);
          return;
        }
        report = () => {
          const { user, system } = process.cpuUsage();
          return { cpuUs: user + system, rssMib: Math.round(process.memoryUsage.rss() / 1_048_576) };
        };
        process.send?.(role === 'echo' ? await runEcho() : await runRelay(mode, port, tlsOptions));
      };
      ready().catch((error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      });
    },
  );
}
