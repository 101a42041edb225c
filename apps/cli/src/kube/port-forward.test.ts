// SPDX-License-Identifier: Apache-2.0
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { forwardPort } from './port-forward.ts';
import type { PortForwarder } from './port-forward.ts';

interface Target {
  readonly forwarder: PortForwarder;
  readonly calls: string[];
  /** Ends the far side of the last connection. */
  end(): void;
}

/** A pod that answers each chunk in capitals. */
function shouting(): Target {
  const calls: string[] = [];
  const ends = new Set<() => void>();
  return {
    calls,
    end: () => {
      for (const end of ends) end();
    },
    forwarder: {
      portForward: (namespace, pod, ports, output: Writable, _error: Writable, input: Readable) => {
        calls.push(`${namespace}/${pod}:${ports.join()}`);
        input.on('data', (chunk: Buffer) => output.write(chunk.toString().toUpperCase()));
        return Promise.resolve({
          close: () => calls.push('closed'),
          addEventListener: (event: string, listener: () => void) => {
            if (event === 'close') ends.add(listener);
          },
        });
      },
    },
  };
}

function exchange(port: number, text: string, onData: () => void = () => undefined): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let received = '';
  const socket = connect(port, '127.0.0.1', () => socket.write(text));
  socket.on('data', (chunk) => {
    received += chunk.toString();
    onData();
  });
  socket.on('error', () => undefined);
  socket.on('close', () => resolve(received));
  return promise;
}

describe('a forwarded port', () => {
  it('carries each connection, also bytes sent before the far side is there, and ends with it', async () => {
    const target = shouting();
    const forward = await forwardPort(target.forwarder, 'shop', 'web-1', 4191);
    expect(await exchange(forward.port, 'hello', () => target.end())).toBe('HELLO');
    expect(await exchange(forward.port, 'again', () => target.end())).toBe('AGAIN');
    expect(target.calls.filter((call) => call !== 'closed')).toEqual(['shop/web-1:4191', 'shop/web-1:4191']);
    forward.close();
    await expect(exchange(forward.port, 'late')).resolves.toBe('');
  });

  it('cuts the connection when the pod cannot be reached', async () => {
    const forward = await forwardPort({ portForward: () => Promise.reject(new Error('no such pod')) }, 'shop', 'web-1', 4191);
    expect(await exchange(forward.port, 'hello')).toBe('');
    forward.close();
  });

  it("cuts the connection when the pod's side reports an error", async () => {
    const forward = await forwardPort(
      {
        portForward: (_namespace, _pod, _ports, _output, error) => {
          error.write('connection refused');
          return Promise.resolve({ close: () => undefined, addEventListener: () => undefined });
        },
      },
      'shop',
      'web-1',
      4191,
    );
    expect(await exchange(forward.port, 'hello')).toBe('');
    forward.close();
  });
});
