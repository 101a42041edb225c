// SPDX-License-Identifier: Apache-2.0
/*
 * Loaded into a proxy that runs from its sources, before its main: makes one callback throw, once, when told. The place is read from the file
 * WEFT_FAULT_FILE on SIGUSR2. Nothing of this is part of the product.
 */
import { readFileSync } from 'node:fs';
import { AdminServer } from '../../../packages/proxy/src/admin/admin-server.ts';
import { GrpcDiscovery } from '../../../packages/proxy/src/discovery/grpc-discovery.ts';
import { H1ServerConnection } from '../../../packages/proxy/src/http/h1-server.ts';
import { H2ClientConnection } from '../../../packages/proxy/src/http/h2-client.ts';
import { H2ServerConnection } from '../../../packages/proxy/src/http/h2-server.ts';
import { TimerHandle } from '../../../packages/net/src/timer-wheel.ts';
import { InboundServer } from '../../../packages/proxy/src/inbound/inbound-server.ts';
import { PortStack } from '../../../packages/proxy/src/inbound/port-stack.ts';

let armed = '';

process.on('SIGUSR2', () => {
  armed = readFileSync(process.env['WEFT_FAULT_FILE'] ?? '', 'utf8').trim();
});

type Callbacks = Record<string, (...args: unknown[]) => unknown>;

function patch(place: string, prototype: object, method: string): void {
  const callbacks = prototype as Callbacks;
  const original = callbacks[method];
  if (original === undefined) throw new Error(`${place} has no ${method}`);
  callbacks[method] = function faulty(this: unknown, ...args: unknown[]): unknown {
    if (armed === `${place}.${method}`) {
      armed = '';
      throw new Error(`injected fault in ${place}.${method}`);
    }
    return original.apply(this, args);
  };
}

for (const method of ['onRead', 'onHead', 'onBody', 'onEnd', 'onReadEnd', 'onClose'])
  patch('H1ServerConnection', H1ServerConnection.prototype, method);
for (const method of ['onRead', 'onRequest', 'beforeFlush', 'onClose']) patch('H2ServerConnection', H2ServerConnection.prototype, method);
for (const method of ['onRead', 'beforeFlush']) patch('H2ClientConnection', H2ClientConnection.prototype, method);
patch('InboundServer', InboundServer.prototype, 'accept');
patch('PortStack', PortStack.prototype, 'serveHttp1');
patch('AdminServer', AdminServer.prototype, 'accept');
patch('GrpcDiscovery', GrpcDiscovery.prototype, 'inbound');

/** Deadlines hide their callback: the fault is put into its place. */
const { run } = TimerHandle.prototype as { run: (this: TimerHandle) => void };
TimerHandle.prototype.run = function faultyRun(this: TimerHandle): void {
  if (armed === 'TimerHandle.run') {
    armed = '';
    const handle = this as unknown as { callback: (() => void) | undefined };
    if (handle.callback !== undefined) {
      handle.callback = () => {
        throw new Error('injected fault in a timer');
      };
    }
  }
  run.call(this);
};
