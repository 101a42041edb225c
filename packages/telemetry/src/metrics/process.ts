// SPDX-License-Identifier: Apache-2.0
/*
 * The `process_*` families (proxy-contract §7.2), read from /proc when somebody scrapes. Where a file cannot be read (another operating
 * system, a hardened container) the value is 0 rather than a failing scrape.
 */
import { readdirSync, readFileSync } from 'node:fs';
import type { MetricRegistry } from './registry.ts';

/** Declares the process families. `startTimeMs` is the wall clock at start. */
export function processMetrics(registry: MetricRegistry, startTimeMs: number = performance.timeOrigin): void {
  const seconds = { unit: 'seconds', isFloat: true } as const;
  const gauge = (name: string, help: string, read: () => number, options = {}): void =>
    registry.gauge(name, help, [], options).callback('', read);
  const counter = (name: string, help: string, read: () => number, options = {}): void =>
    registry.counter(name, help, [], options).callback('', read);

  gauge('process_start_time_seconds', 'Time that the process started (in seconds since the UNIX epoch)', () => startTimeMs / 1000, seconds);
  gauge('process_clock_time_seconds', 'Current system time for this process', () => Math.floor(Date.now() / 1000), seconds);
  counter('process_uptime_seconds', 'Total time since the process started', () => (Date.now() - startTimeMs) / 1000, seconds);
  counter('process_cpu_seconds', 'Total user and system CPU time spent', readCpuSeconds, seconds);
  gauge('process_virtual_memory_bytes', 'Virtual memory size', () => readStatusKilobytes('VmSize') * 1024, { unit: 'bytes' });
  gauge('process_resident_memory_bytes', 'Resident memory size', () => readStatusKilobytes('VmRSS') * 1024, { unit: 'bytes' });
  gauge('process_open_fds', 'Number of open file descriptors', readOpenFileCount);
  gauge('process_max_fds', 'Maximum number of open file descriptors', readMaxFiles);
  counter('process_network_receive_bytes', 'Total bytes received by the pod', () => readNetworkBytes(0), { unit: 'bytes', isFloat: true });
  counter('process_network_transmit_bytes', 'Total bytes sent by the pod', () => readNetworkBytes(8), { unit: 'bytes', isFloat: true });
  gauge('process_threads', 'Number of OS threads in the process', () => readStatusKilobytes('Threads'));
}

function readCpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 10_000) / 100;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

function readStatusKilobytes(field: string): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm').exec(readText('/proc/self/status'))?.[1] ?? 0);
}

function readOpenFileCount(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

function readMaxFiles(): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readText('/proc/self/limits'))?.[1] ?? 0);
}

/** Sum over all interfaces but loopback; column 0 is received bytes, 8 sent bytes. */
function readNetworkBytes(column: number): number {
  let total = 0;
  for (const line of readText('/proc/self/net/dev').split('\n')) {
    const [name, values] = line.split(':');
    if (values === undefined || name?.trim() === 'lo') continue;
    total += Number(values.trim().split(/\s+/)[column] ?? 0);
  }
  return total;
}
