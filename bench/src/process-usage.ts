// SPDX-License-Identifier: Apache-2.0
/* What processes cost, from /proc: CPU in nanoseconds of all threads (schedstat; the ticks of `stat` are 10 ms), private memory. */
import { readdirSync, readFileSync } from 'node:fs';

/** User and system time of a process so far, in nanoseconds. Threads that have ended are not in it; proxies keep theirs. */
export function cpuNsOf(pid: number): number {
  let total = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      total += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // It ended between the two calls.
    }
  }
  return total;
}

/** Private anonymous memory in KiB. */
export function rssAnonKbOf(pid: number): number {
  const found = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  if (found === null) throw new Error(`no RssAnon of process ${pid}`);
  return Number(found[1]);
}

const NS_PER_TICK = 10_000_000;

/** CPU time of the whole machine outside of interrupts and idling, in nanoseconds. */
export function machineBusyNs(): number {
  const [, user, nice, system, , , , , steal] = readFileSync('/proc/stat', 'utf8').split('\n', 1).join('').split(/\s+/).map(Number);
  return ((user ?? 0) + (nice ?? 0) + (system ?? 0) + (steal ?? 0)) * NS_PER_TICK;
}

/** CPU time of this process and of its children that have ended, in nanoseconds. */
export function ownCpuNs(): number {
  const text = readFileSync('/proc/self/stat', 'utf8');
  // The name in parentheses may have spaces; utime, stime, cutime, cstime are fields 14 to 17.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return fields.slice(11, 15).reduce((sum, field) => sum + Number(field) * NS_PER_TICK, 0);
}
