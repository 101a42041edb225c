// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process';
import net from 'node:net';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { getOriginalDestination, setUserTimeout } from './index.ts';
import { handleOf } from './socket-driver.ts';

const REDIRECT = ['iptables-nft', 'ip6tables-nft'].map(
  (binary) => `${binary} -t nat -A OUTPUT -p tcp --dport 8080 -j REDIRECT --to-port 4140`,
);

/** Runs the fixture in a network namespace of its own, which ends with it. Needs root, as all tests with namespaces do. */
function runInNamespace(rules: string[], addresses: string[]): unknown[] {
  const script = fileURLToPath(new URL('testdata/redirected-listener.ts', import.meta.url));
  const setup = ['ip link set lo up', 'ip addr add 10.1.2.3/32 dev lo', 'ip addr add fd00::5:0:3/128 dev lo nodad', ...rules];
  const node = [process.execPath, '--conditions=weft-source', '--disable-warning=ExperimentalWarning', script, ...addresses];
  const quoted = node.map((word) => `'${word}'`).join(' ');
  const result = spawnSync('unshare', ['--net', 'sh', '-ec', `${setup.join('\n')}\nexec ${quoted}`], { encoding: 'utf8' });
  if (result.status !== 0) throw new Error(`the fixture failed: ${result.stderr}${result.stdout}`);
  return result.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}

it('finds where redirected connections were going, IPv4 and IPv6, and shows v4 peers of a v6 socket as IPv4', () => {
  expect(runInNamespace(REDIRECT, ['10.1.2.3|8080', 'fd00::5:0:3|8080', '127.0.0.1|8080'])).toEqual([
    { remoteIp: '10.1.2.3', originalDestination: { ip: '10.1.2.3', port: 8080 } },
    { remoteIp: 'fd00::5:0:3', originalDestination: { ip: 'fd00::5:0:3', port: 8080 } },
    { remoteIp: '127.0.0.1', originalDestination: { ip: '127.0.0.1', port: 8080 } },
  ]);
});

it('shows the local address for connections that were not redirected', () => {
  expect(runInNamespace(REDIRECT, ['10.1.2.3|4140', 'fd00::5:0:3|4140'])).toEqual([
    { remoteIp: '10.1.2.3', originalDestination: { ip: '10.1.2.3', port: 4140 } },
    { remoteIp: 'fd00::5:0:3', originalDestination: { ip: 'fd00::5:0:3', port: 4140 } },
  ]);
});

it('drops connections for which the kernel knows no original destination', () => {
  expect(runInNamespace([], ['10.1.2.3|4140', 'fd00::5:0:3|4140'])).toEqual([
    { code: 'ERR_NET_ORIGINAL_DESTINATION' },
    { code: 'ERR_NET_ORIGINAL_DESTINATION' },
  ]);
});

it('sets TCP_USER_TIMEOUT, and says when the kernel refuses', async () => {
  const server = net.createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.on('listening', resolve));
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1');
  await new Promise((resolve) => socket.on('connect', resolve));
  const fd = handleOf(socket)?.fd ?? -1;
  expect(setUserTimeout(fd, 30_000)).toBe(true);
  expect(setUserTimeout(-1, 30_000)).toBe(false);
  expect(getOriginalDestination(-1, 4)).toBeUndefined();
  socket.destroy();
  server.close();
});
