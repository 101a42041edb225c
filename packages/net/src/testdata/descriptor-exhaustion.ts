// SPDX-License-Identifier: Apache-2.0
/*
 * Runs with a low limit of open files: lets a client open more connections than there are descriptors, then frees some and checks that
 * the listener still accepts. Prints one JSON line.
 */
import net from 'node:net';
import process from 'node:process';
import { listen } from '../index.ts';

let accepted = 0;
const errors = new Set<string>();
const listener = await listen({
  host: '127.0.0.1',
  port: 0,
  originalDestination: false,
  onConnection: (stream) => {
    accepted += 1;
    stream.setSink({ onRead: () => {}, onReadEnd: () => stream.end(), onDrain: () => {}, onClose: () => {} });
  },
  onError: ({ code }) => errors.add(code),
});

const clients: net.Socket[] = [];
const failures = new Set<string>();
for (let i = 0; i < 200; i++) {
  const socket = net.connect(listener.address.port, '127.0.0.1');
  socket.on('error', (error: NodeJS.ErrnoException) => failures.add(error.code ?? ''));
  clients.push(socket);
}
await new Promise((resolve) => setTimeout(resolve, 300));
const before = accepted;
for (const client of clients) client.destroy();
await new Promise((resolve) => setTimeout(resolve, 100));

const late = net.connect(listener.address.port, '127.0.0.1');
await new Promise<void>((resolve, reject) => {
  late.on('error', reject);
  late.on('connect', () => resolve());
});
await new Promise((resolve) => setTimeout(resolve, 100));
process.stdout.write(`${JSON.stringify({ isExhausted: failures.size > 0 || errors.size > 0, isAlive: accepted > before })}\n`);
process.exit(0);
