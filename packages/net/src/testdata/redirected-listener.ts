// SPDX-License-Identifier: Apache-2.0
/*
 * Runs inside a network namespace, perhaps with a REDIRECT rule from port 8080 to 4140: listens there, connects to each address given as an argument,
 * and prints what the listener said of it, one JSON line for each.
 */
import process from 'node:process';
import { connect, listen } from '../index.ts';

const outcomes: object[] = [];
const listener = await listen({
  host: '::',
  port: 4140,
  originalDestination: true,
  userTimeoutMs: 30_000,
  keepAliveMs: 10_000,
  onConnection: (stream, originalDestination) => {
    outcomes.push({ remoteIp: stream.remote.ip, originalDestination });
    stream.destroy();
  },
  onError: ({ code }) => outcomes.push({ code }),
});

for (const address of process.argv.slice(2)) {
  const [host, port] = address.split('|') as [string, string];
  await new Promise<void>((resolve, reject) => {
    connect(
      { host, port: Number(port), timeoutMs: 5_000, userTimeoutMs: 1_000 },
      { onConnect: () => resolve(), onError: (error) => reject(new Error(error.message)) },
    );
  });
  while (outcomes.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  process.stdout.write(`${JSON.stringify(outcomes.shift())}\n`);
}
listener.close();
process.exit(0);
