// SPDX-License-Identifier: Apache-2.0
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import net from 'node:net';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { configureNet, connect, listen, netCounters, poolStats } from './index.ts';
import type { ByteStream, ByteStreamSink, Listener, NetError } from './index.ts';
import { driver } from './socket-driver.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const item of open.splice(0)) item.close();
  configureNet({ onInternalError: () => {}, writeHighWaterBytes: 256 * 1024 });
});

/** A sink that does nothing but what is given. */
function sinkOf(parts: Partial<ByteStreamSink>): ByteStreamSink {
  return { onRead: () => {}, onReadEnd: () => {}, onDrain: () => {}, onClose: () => {}, ...parts };
}

async function serve(onConnection: (stream: ByteStream) => void, more: { maxAcceptsPerTurn?: number } = {}): Promise<Listener> {
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    originalDestination: false,
    onConnection: (stream) => {
      open.push({ close: () => stream.destroy() });
      onConnection(stream);
    },
    onError: () => {},
    ...more,
  });
  open.push(listener);
  return listener;
}

function dial(listener: Listener): Promise<ByteStream> {
  return new Promise((resolve, reject) => {
    connect(
      { host: listener.address.ip, port: listener.address.port, timeoutMs: 5_000 },
      {
        onConnect: (stream) => {
          open.push({ close: () => stream.destroy() });
          resolve(stream);
        },
        onError: (error) => reject(new Error(error.code)),
      },
    );
  });
}

function rawDial(listener: Listener, options: { allowHalfOpen?: boolean } = {}): Promise<net.Socket> {
  return new Promise((resolve) => {
    const socket = net.connect({ port: listener.address.port, host: '127.0.0.1', ...options }, () => resolve(socket));
    socket.on('error', () => {});
    open.push({ close: () => socket.destroy() });
  });
}

/** Echoes with backpressure: reading stops while the peer does not read. */
function echo(stream: ByteStream): void {
  stream.setSink(
    sinkOf({
      onRead: (chunk, start, end) => {
        stream.out.writeBytes(chunk, start, end);
        stream.schedule();
        if (stream.isBlocked) stream.pauseReading();
      },
      onDrain: () => stream.resumeReading(),
      onReadEnd: () => stream.end(),
    }),
  );
}

async function eventually(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

const modes = [
  { name: 'shared reads, direct writes', sharedReads: true, directWrites: true },
  { name: 'shared reads, stream writes', sharedReads: true, directWrites: false },
  { name: 'data events, stream writes', sharedReads: false, directWrites: false },
];

it('uses the fast ways on the pinned Node', () => {
  expect(driver).toEqual({ sharedReads: true, directWrites: true });
});

for (const mode of modes) {
  describe(`with ${mode.name}`, () => {
    const before = { ...driver };
    const set = (): void => void Object.assign(driver, { sharedReads: mode.sharedReads, directWrites: mode.directWrites });
    afterEach(() => void Object.assign(driver, before));

    it('echoes bytes of random sizes on many connections unchanged', async () => {
      set();
      const listener = await serve(echo);
      await Promise.all(
        Array.from({ length: 20 }, async () => {
          const stream = await dial(listener);
          const sent = createHash('sha256');
          const received = createHash('sha256');
          let toSend = 2_000_000 + Math.floor(Math.random() * 100_000);
          let toReceive = toSend;
          await new Promise<void>((resolve, reject) => {
            const pump = (): void => {
              while (toSend > 0 && !stream.isBlocked) {
                const bytes = Math.min(toSend, 1 + Math.floor(Math.random() ** 4 * 70_000));
                const piece = Buffer.alloc(bytes, Math.floor(Math.random() * 256));
                for (let at = 0; at < bytes; at += 97) piece[at] = at & 0xff;
                sent.update(piece);
                stream.out.writeBytes(piece, 0, bytes);
                toSend -= bytes;
              }
              stream.schedule();
            };
            stream.setSink(
              sinkOf({
                onRead: (chunk, start, end) => {
                  received.update(chunk.subarray(start, end));
                  toReceive -= end - start;
                  if (toReceive === 0) stream.end();
                },
                onDrain: pump,
                onClose: (error) => (error === undefined ? resolve() : reject(new Error(error.code))),
              }),
            );
            pump();
          });
          expect(received.digest('hex')).toBe(sent.digest('hex'));
        }),
      );
      await eventually(() => poolStats().borrowedBytes === 0);
    });

    it('keeps our half open after the FIN of the peer', async () => {
      set();
      const listener = await serve((stream) => {
        const text: string[] = [];
        stream.setSink(
          sinkOf({
            onRead: (chunk, start, end) => text.push(chunk.toString('latin1', start, end)),
            onReadEnd: () => {
              setTimeout(() => {
                stream.out.writeLatin1(`got ${text.join('')}`);
                stream.end();
              }, 20);
            },
          }),
        );
      });
      const socket = await rawDial(listener, { allowHalfOpen: true });
      socket.end('request');
      const answer: string[] = [];
      socket.on('data', (chunk: Buffer) => answer.push(chunk.toString()));
      await new Promise((resolve) => socket.on('end', resolve));
      expect(answer.join('')).toBe('got request');
    });

    it('goes on reading after our own FIN', async () => {
      set();
      const got: string[] = [];
      let closed: NetError | undefined | 'open' = 'open';
      const listener = await serve((stream) => {
        stream.setSink(
          sinkOf({
            onRead: (chunk, start, end) => got.push(chunk.toString('latin1', start, end)),
            onClose: (error) => (closed = error),
          }),
        );
        stream.out.writeLatin1('bye');
        stream.end();
        expect(stream.isClosed).toBe(true);
      });
      const socket = await rawDial(listener, { allowHalfOpen: true });
      socket.resume();
      await new Promise((resolve) => socket.on('end', resolve));
      socket.write('late ');
      setTimeout(() => socket.end('data'), 20);
      await eventually(() => closed !== 'open');
      expect(closed).toBeUndefined();
      expect(got.join('')).toBe('late data');
    });

    it('reports the RST of the peer and sends one when asked to', async () => {
      set();
      const errors: (string | undefined)[] = [];
      const listener = await serve((stream) => {
        stream.setSink(
          sinkOf({
            onRead: () => stream.destroy({ reset: true }),
            onClose: (error) => errors.push(error?.code),
          }),
        );
      });
      const resetByPeer = await rawDial(listener);
      resetByPeer.resetAndDestroy();
      await eventually(() => errors.length === 1);
      expect(errors).toEqual(['ECONNRESET']);
      const resetByUs = await rawDial(listener);
      const code = new Promise((resolve) => resetByUs.on('error', (error: NodeJS.ErrnoException) => resolve(error.code)));
      resetByUs.write('x');
      expect(await code).toBe('ECONNRESET');
      await eventually(() => errors.length === 2);
      expect(errors[1]).toBeUndefined();
    });

    it('holds a bounded amount for a peer that does not read, and drains when it does', async () => {
      set();
      let produced = 0;
      let mostBuffered = 0;
      const total = 64 * 1024 * 1024;
      const listener = await serve((stream) => {
        const piece = Buffer.alloc(16_384, 7);
        const pump = (): void => {
          while (produced < total && !stream.isBlocked) {
            stream.out.writeBytes(piece, 0, piece.length);
            produced += piece.length;
          }
          mostBuffered = Math.max(mostBuffered, poolStats().borrowedBytes);
          stream.schedule();
          if (produced >= total) stream.end();
        };
        stream.setSink(sinkOf({ onDrain: pump }));
        pump();
      });
      const socket = await rawDial(listener);
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 100));
      const stalledAt = produced;
      expect(stalledAt).toBeLessThan(total / 2);
      let received = 0;
      socket.on('data', (chunk: Buffer) => (received += chunk.length));
      socket.resume();
      await new Promise((resolve) => socket.on('close', resolve));
      expect(received).toBe(total);
      expect(mostBuffered).toBeLessThan(4 * 1024 * 1024);
    });

    it('stops reading while paused and loses nothing', async () => {
      set();
      let stream!: ByteStream;
      let received = 0;
      let ended = false;
      const listener = await serve((accepted) => {
        stream = accepted;
        accepted.setSink(
          sinkOf({
            onRead: (_chunk, start, end) => {
              received += end - start;
              if (received < 100_000) accepted.pauseReading();
            },
            onReadEnd: () => (ended = true),
          }),
        );
      });
      const socket = await rawDial(listener);
      socket.end(Buffer.alloc(1_000_000));
      await eventually(() => received > 0);
      const atPause = received;
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(received).toBe(atPause);
      await eventually(() => {
        stream.resumeReading();
        return ended;
      });
      expect(received).toBe(1_000_000);
    });

    it('delivers bytes put back first, also when the peer has already sent more and FIN', async () => {
      set();
      const got: string[] = [];
      let isDone = false;
      const listener = await serve((stream) => {
        const second = sinkOf({
          onRead: (chunk, start, end) => got.push(chunk.toString('latin1', start, end)),
          onReadEnd: () => (isDone = true),
        });
        stream.setSink(
          sinkOf({
            onRead: (chunk, start, end) => {
              stream.unread(chunk, start + 2, end);
              stream.unread(chunk, start, start + 2);
              stream.setSink(second);
            },
          }),
        );
      });
      const socket = await rawDial(listener);
      socket.write('hello ');
      setTimeout(() => socket.end('world'), 20);
      await eventually(() => isDone);
      expect(got.join('')).toBe('hello world');
    });

    for (const place of ['onRead', 'onReadEnd', 'onDrain', 'onClose', 'onBeforeFlush'] as const) {
      it(`ends only the one connection when ${place} throws`, async () => {
        set();
        const reports: string[] = [];
        configureNet({ onInternalError: (where) => reports.push(where), writeHighWaterBytes: 1_000 });
        const countBefore = netCounters.internalErrorsTotal.get(place) ?? 0;
        let isFirst = true;
        let closes = 0;
        const listener = await serve((stream) => {
          if (!isFirst) {
            echo(stream);
            return;
          }
          isFirst = false;
          const bomb = (): never => {
            throw new Error('boom');
          };
          const sink = sinkOf({ onClose: () => void (closes += 1) });
          if (place === 'onBeforeFlush') stream.onBeforeFlush = bomb;
          else sink[place] = place === 'onClose' ? () => bomb() : bomb;
          stream.setSink(sink);
          stream.out.writeBytes(Buffer.alloc(5_000), 0, 5_000);
          stream.schedule();
          if (place === 'onClose') stream.end();
        });
        const bad = await rawDial(listener);
        const good = await rawDial(listener);
        bad.on('data', () => {});
        bad.end('x');
        await new Promise((resolve) => bad.on('close', resolve));
        await eventually(() => reports.length === 1);
        expect(reports).toEqual([place]);
        expect(netCounters.internalErrorsTotal.get(place)).toBe(countBefore + 1);
        if (place !== 'onClose') await eventually(() => closes === 1);
        const answer = new Promise<string>((resolve) => good.on('data', (chunk: Buffer) => resolve(chunk.toString())));
        good.write('still here');
        expect(await answer).toBe('still here');
      });
    }
  });
}

it('tells whoever counts connections of the close once, before the sink', async () => {
  const told: string[] = [];
  const listener = await serve((stream) => {
    stream.onClosed = (error) => told.push(`counter ${error?.code ?? 'clean'}`);
    stream.setSink(sinkOf({ onReadEnd: () => stream.end(), onClose: () => told.push('sink') }));
  });
  const client = await rawDial(listener);
  client.end();
  await eventually(() => told.length >= 2);
  expect(told).toEqual(['counter clean', 'sink']);
});

it('tells a sink that comes late of the close', async () => {
  let stream!: ByteStream;
  const listener = await serve((accepted) => {
    stream = accepted;
    accepted.setSink(sinkOf({ onRead: () => {} }));
  });
  const client = await dial(listener);
  await eventually(() => stream !== undefined);
  client.destroy();
  await eventually(() => client.isClosed && netCounters.openStreams <= 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const closes: string[] = [];
  client.setSink(sinkOf({ onClose: () => closes.push('first') }));
  expect(closes).toEqual([]);
  await eventually(() => closes.length === 1);
  client.setSink(sinkOf({ onClose: () => closes.push('second') }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(closes).toEqual(['first']);
});

it('closes also when reset is asked for while the FIN is on its way', async () => {
  const turns = (count: number, then: () => void): void => void setImmediate(count === 0 ? then : () => turns(count - 1, then));
  await eventually(() => netCounters.openStreams === 0);
  let closes = 0;
  const listener = await serve((stream) => {
    stream.setSink(sinkOf({ onClose: () => void (closes += 1) }));
    stream.end();
    const reset = (): void => stream.destroy({ reset: true });
    turns(closes % 4, () => process.nextTick(reset));
    turns(closes % 3, reset);
  });
  for (let i = 0; i < 24; i++) {
    const socket = await rawDial(listener, { allowHalfOpen: true });
    socket.resume();
    await eventually(() => closes === i + 1);
    socket.destroy();
  }
  expect(netCounters.openStreams).toBe(0);
});

it('survives streams that do anything at any time', async () => {
  configureNet({ writeHighWaterBytes: 20_000 });
  await eventually(() => netCounters.openStreams === 0);
  const block = Buffer.alloc(100_000, 1);
  let opened = 0;
  let closed = 0;
  const own = (stream: ByteStream): void => {
    opened += 1;
    const act = (): void => {
      const dice = Math.random();
      if (dice < 0.03) stream.destroy();
      else if (dice < 0.06) stream.destroy({ reset: true });
      else if (dice < 0.08) stream.end();
      else if (dice < 0.09) throw new Error('random');
      else if (dice < 0.2) {
        stream.pauseReading();
        setTimeout(() => stream.resumeReading(), Math.random() * 5);
      }
    };
    stream.setSink({
      onRead: (chunk, start, end) => {
        if (!stream.isClosed) {
          stream.out.writeBytes(block, 0, Math.floor(Math.random() ** 4 * block.length));
          stream.schedule();
        }
        if (Math.random() < 0.05) stream.unread(chunk, start, Math.min(end, start + 100));
        act();
      },
      onReadEnd: () => stream.end(),
      onDrain: act,
      onClose: () => void (closed += 1),
    });
    stream.out.writeBytes(block, 0, 100);
    stream.schedule();
    setTimeout(() => stream.destroy({ reset: Math.random() < 0.5 }), Math.random() * 200);
  };
  const listener = await serve(own);
  for (let round = 0; round < 10; round++) {
    const streams = await Promise.all(Array.from({ length: 30 }, () => dial(listener)));
    for (const stream of streams) own(stream);
  }
  // A connection may be reset before it is accepted, so the servers' side is not always opened.
  await eventually(() => opened >= 300 && closed === opened);
  expect(netCounters.openStreams).toBe(0);
  await eventually(() => poolStats().borrowedBytes === 0);
});

it('puts everything of a turn into one write', async () => {
  const chunks: number[] = [];
  const listener = await serve((stream) => {
    stream.setSink(sinkOf({}));
    for (let i = 0; i < 100; i++) {
      stream.out.writeLatin1('x'.repeat(20));
      stream.schedule();
    }
  });
  const socket = await rawDial(listener);
  socket.on('data', (chunk: Buffer) => chunks.push(chunk.length));
  await eventually(() => chunks.length > 0);
  expect(chunks).toEqual([2_000]);
});

it('hands over a storm of connections a few per turn and loses none', async () => {
  let accepted = 0;
  let thisTurn = 0;
  let mostPerTurn = 0;
  const listener = await serve(
    (stream) => {
      accepted += 1;
      thisTurn += 1;
      mostPerTurn = Math.max(mostPerTurn, thisTurn);
      setImmediate(() => (thisTurn = 0));
      echo(stream);
    },
    { maxAcceptsPerTurn: 3 },
  );
  await Promise.all(Array.from({ length: 50 }, () => rawDial(listener)));
  await eventually(() => accepted === 50);
  expect(mostPerTurn).toBeLessThanOrEqual(3);
});

it('destroys a connection whose onConnection throws, and goes on accepting', async () => {
  let isFirst = true;
  const listener = await serve((stream) => {
    if (isFirst) {
      isFirst = false;
      throw new Error('boom');
    }
    echo(stream);
  });
  const bad = await rawDial(listener);
  await new Promise((resolve) => bad.on('close', resolve));
  const good = await rawDial(listener);
  const answer = new Promise<string>((resolve) => good.on('data', (chunk: Buffer) => resolve(chunk.toString())));
  good.write('hi');
  expect(await answer).toBe('hi');
});

describe('connect', () => {
  it('reports a refused connection', async () => {
    const listener = await serve(echo);
    const { port } = listener.address;
    listener.close();
    const error = await new Promise<NetError>((resolve, reject) => {
      connect({ host: '127.0.0.1', port, timeoutMs: 1_000 }, { onConnect: () => reject(new Error('connected')), onError: resolve });
    });
    expect(error.code).toBe('ECONNREFUSED');
  });

  it('gives up at the deadline', async () => {
    // A listener that never accepts: once its queue is full the kernel drops the SYNs.
    const worker = new Worker(
      `const { workerData, parentPort } = require('node:worker_threads');
       const server = require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
         parentPort.postMessage(server.address().port);
         setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
       });`,
      { eval: true },
    );
    open.push({ close: () => void worker.terminate() });
    const port = await new Promise<number>((resolve) => worker.on('message', resolve));
    const errors = await Promise.all(
      Array.from(
        { length: 6 },
        () =>
          new Promise<NetError | undefined>((resolve) => {
            const onConnect = (stream: ByteStream): void => {
              open.push({ close: () => stream.destroy() });
              resolve(undefined);
            };
            connect({ host: '127.0.0.1', port, timeoutMs: 100 }, { onConnect, onError: resolve });
          }),
      ),
    );
    expect(errors.filter((error) => error !== undefined).map((error) => error.code)).toContain('ERR_NET_CONNECT_TIMEOUT');
  });

  it('refuses names', () => {
    expect(() => connect({ host: 'localhost', port: 1, timeoutMs: 1 }, { onConnect: () => {}, onError: () => {} })).toThrow(TypeError);
  });

  it('calls nothing after cancel', async () => {
    const listener = await serve(echo);
    let calls = 0;
    const count = (): void => void (calls += 1);
    connect({ host: '127.0.0.1', port: listener.address.port, timeoutMs: 1_000 }, { onConnect: count, onError: count }).cancel();
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(calls).toBe(0);
  });
});
