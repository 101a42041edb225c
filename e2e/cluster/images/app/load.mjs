// SPDX-License-Identifier: Apache-2.0
/*
 * A load generator for tests: sends requests at a steady rate until SIGTERM (or for `--seconds`), then prints one line of JSON with what came back.
 * A request that gets no answer, or another status than 200, is a failure and is listed.
 *
 *   node load.mjs URL [--rate 50] [--seconds 10] [--connections 8] [--http2] [--fresh] [--header 'name: value']
 *
 * `--fresh` opens a connection for each request. Every second it prints a line `so far {…}`.
 */
import { Agent, request as http1Request } from 'node:http';
import { connect } from 'node:http2';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '0' },
    connections: { type: 'string', default: '8' },
    'timeout-ms': { type: 'string', default: '10000' },
    http2: { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
    header: { type: 'string', multiple: true, default: [] },
  },
});
const url = new URL(positionals[0]);
const timeoutMs = Number(values['timeout-ms']);
const headers = Object.fromEntries(
  values.header.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]),
);
const agent = new Agent({ keepAlive: !values.fresh, maxSockets: values.fresh ? Infinity : Number(values.connections) });
const MAX_LISTED_FAILURES = 50;
const startedMs = performance.now();
const result = { sent: 0, ok: 0, failed: 0, statuses: {}, bodies: {}, failures: [] };
const latenciesMs = [];
const inFlight = new Set();
let session;

function overHttp1() {
  return new Promise((resolve, reject) => {
    const sent = http1Request(url, { agent, headers, timeout: timeoutMs }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (text) => (body += text));
      answer.on('error', reject);
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    });
    sent.on('timeout', () => sent.destroy(new Error('timeout')));
    sent.on('error', reject);
    sent.end();
  });
}

function overHttp2() {
  if (session === undefined || session.closed || session.destroyed || values.fresh) {
    const opened = connect(url.origin);
    opened.on('error', () => {});
    opened.on('goaway', () => session === opened && (session = undefined));
    session = opened;
  }
  const used = session;
  return new Promise((resolve, reject) => {
    const stream = used.request({ ':path': url.pathname + url.search, ...headers });
    let answer = {};
    let body = '';
    stream.setEncoding('utf8');
    stream.setTimeout(timeoutMs, () => stream.destroy(new Error('timeout')));
    stream.on('response', (fields) => (answer = fields));
    stream.on('data', (text) => (body += text));
    stream.on('error', reject);
    stream.on('end', () => resolve({ status: answer[':status'], headers: answer, body }));
    stream.on('close', () => {
      reject(new Error('closed without an answer'));
      if (values.fresh) used.close();
    });
    stream.end();
  });
}

function start() {
  const running = one().finally(() => inFlight.delete(running));
  inFlight.add(running);
}

async function one() {
  const atMs = performance.now();
  result.sent += 1;
  try {
    const { status, headers: fields, body } = await (values.http2 ? overHttp2() : overHttp1());
    result.statuses[status] = (result.statuses[status] ?? 0) + 1;
    if (status === 200) {
      result.ok += 1;
      const name = nameIn(body);
      result.bodies[name] = (result.bodies[name] ?? 0) + 1;
    } else fail(atMs, `${status} ${fields['l5d-proxy-error'] ?? body.slice(0, 200)}`);
  } catch (error) {
    fail(atMs, `${error.code ?? ''} ${error.message}`.trim());
  }
  latenciesMs.push(performance.now() - atMs);
}

/** Which server answered: the `name` of echo.mjs. */
function nameIn(body) {
  try {
    return JSON.parse(body).name ?? 'unnamed';
  } catch {
    return 'unnamed';
  }
}

function fail(atMs, why) {
  result.failed += 1;
  if (result.failures.length < MAX_LISTED_FAILURES) result.failures.push({ atMs: Math.round(atMs - startedMs), why });
}

function percentile(part) {
  const sorted = [...latenciesMs].sort((a, b) => a - b);
  return sorted.length === 0 ? 0 : Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))].toFixed(1));
}

const intervalMs = 1000 / Number(values.rate);
let nextMs = performance.now();
const ticker = setInterval(
  () => {
    // A late timer sends what it missed, so that the rate is kept.
    for (; nextMs <= performance.now(); nextMs += intervalMs) start();
  },
  Math.min(intervalMs, 20),
);
const progress = setInterval(() => console.log(`so far ${JSON.stringify({ ...result, failures: undefined, bodies: undefined })}`), 1000);

let isEnding = false;
async function finish() {
  if (isEnding) return;
  isEnding = true;
  clearInterval(ticker);
  clearInterval(progress);
  await Promise.all(inFlight);
  console.log(JSON.stringify({ ...result, latencyMs: { p50: percentile(0.5), p99: percentile(0.99), max: percentile(1) } }));
  process.exit(0);
}
process.on('SIGTERM', () => void finish());
process.on('SIGINT', () => void finish());
if (Number(values.seconds) > 0) setTimeout(() => void finish(), Number(values.seconds) * 1000);
