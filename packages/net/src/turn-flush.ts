// SPDX-License-Identifier: Apache-2.0
/*
 * End-of-turn work: everything that a turn of the event loop appended to a connection leaves in one write (design §3). One
 * setImmediate serves all streams: it runs right after the poll phase, so nothing waits for a timer.
 */

/** What the flush calls. A stream is on the list at most once per pass. */
export interface Flushable {
  /** Owned by this module: see `pass`. Starts at 0. */
  flushPass: number;
  /** Must not throw. */
  flush(): void;
}

let current: Flushable[] = [];
let next: Flushable[] = [];
/** Even, and two more each time. A stream listed for a pass carries its number; one already flushed in it, the number plus one. */
let pass = 2;
let isRunning = false;
let isArmed = false;

/**
 * Lists `stream` for the end of this turn. Called while the flush runs, it still belongs to this turn, unless that stream has
 * already been listed: then it waits for the next one, so two streams that feed each other cannot keep the loop busy.
 */
export function scheduleFlush(stream: Flushable): void {
  if (stream.flushPass < pass) {
    stream.flushPass = pass;
    current.push(stream);
    if (!isRunning) arm();
  } else if (stream.flushPass === pass + 1) {
    stream.flushPass = pass + 2;
    next.push(stream);
    arm();
  }
}

function arm(): void {
  if (isArmed) return;
  isArmed = true;
  setImmediate(runFlush);
}

function runFlush(): void {
  isArmed = false;
  isRunning = true;
  // The list may grow while it is walked.
  for (let index = 0; index < current.length; index++) {
    const stream = current[index] as Flushable;
    stream.flushPass = pass + 1;
    stream.flush();
  }
  isRunning = false;
  const done = current;
  done.length = 0;
  current = next;
  next = done;
  pass += 2;
}
