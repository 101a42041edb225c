// SPDX-License-Identifier: Apache-2.0
/*
 * Runs in a worker thread: an echo server on a port that it shares with other threads.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { listen } from '../index.ts';

const listener = await listen({
  host: '127.0.0.1',
  port: (workerData as { port: number }).port,
  reusePort: true,
  originalDestination: false,
  onConnection: (stream) => {
    stream.setSink({
      onRead: (chunk, start, end) => {
        stream.out.writeBytes(chunk, start, end);
        stream.schedule();
      },
      onReadEnd: () => stream.end(),
      onDrain: () => {},
      onClose: () => {},
    });
  },
  onError: () => {},
});
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
parentPort?.postMessage(listener.address.port);
