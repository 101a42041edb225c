// SPDX-License-Identifier: Apache-2.0
/*
 * Nanoseconds per small request and response through a client and a server connection in memory, bytes handed over once per
 * turn as sockets would. CPU time of the whole process, collector threads included. One case per run: `node --conditions=weft-source bench/micro.ts [case] [rounds] [body bytes]`.
 */
import { Buffer } from 'node:buffer';
import { type BufferSource, ByteWriter, type FieldList } from '@weft/bytes';
import { H2Connection, type H2ConnectionSink, type H2StreamHandle, type H2StreamSink } from '../src/index.ts';

const [name = 'same', roundsText = '400000', bodyText = '20'] = process.argv.slice(2);
const BODY = Buffer.alloc(Number(bodyText), 'body');

const REQUEST: FieldList = fieldsOf(`
  :method GET
  :scheme http
  :authority web.emojivoto.svc.cluster.local:8080
  :path /api/list
  host web.emojivoto.svc.cluster.local:8080
  user-agent wrk/4.2.0
  accept */*
  l5d-orig-proto HTTP/1.1
  l5d-dst-canonical web.emojivoto.svc.cluster.local:8080`);
const RESPONSE: FieldList = fieldsOf(`
  :status 200
  server nginx/1.29.1
  date Mon,_23_Nov_2026_12:00:00_GMT
  content-type text/plain
  content-length ${bodyText}
  etag "66b0c5f0-14"
  l5d-orig-proto HTTP/1.1`);

/** How request and response differ from one to the next. */
const CASES: Readonly<Record<string, (round: number) => readonly [FieldList, FieldList]>> = {
  /** The very same lists. */
  same: () => [REQUEST, RESPONSE],
  /** Equal contents in new arrays, as a proxy builds them. */
  equal: () => [[...REQUEST], [...RESPONSE]],
  /** A new path and content-length each time. */
  path: (round) => [replaced(REQUEST, 7, `/api/list/${round}`), RESPONSE],
  /** A new identifier each time, which most encoders index. */
  id: (round) => [
    [...REQUEST, 'x-correlation', `id-${round}`],
    [...RESPONSE, 'x-correlation', `id-${round}`],
  ],
};

function fieldsOf(text: string): FieldList {
  return text.trim().split(/\s+/);
}

function replaced(fields: FieldList, at: number, value: string): FieldList {
  const copy = fields.slice();
  copy[at] = value;
  return copy;
}

/** Keeps one buffer, as the pool of a busy connection does. */
class OneBuffer implements BufferSource {
  private spare: Buffer | undefined = undefined;

  acquire(minBytes: number): Buffer {
    const { spare } = this;
    this.spare = undefined;
    return spare !== undefined && spare.length >= minBytes ? spare : Buffer.allocUnsafeSlow(Math.max(minBytes, 65_536));
  }

  release(buffer: Buffer): void {
    this.spare = buffer;
  }
}

const clientSource = new OneBuffer();
const serverSource = new OneBuffer();
const clientOut = new ByteWriter(clientSource);
const serverOut = new ByteWriter(serverSource);
let response: FieldList = RESPONSE;
let finished = 0;

class Responder implements H2StreamSink {
  onHeaders(): void {}
  onInterim(): void {}
  onData(): void {}
  onTrailers(): void {}
  onReset(): void {}
  onWritable(): void {}
}

class Requester implements H2StreamSink {
  stream: H2StreamHandle | undefined = undefined;

  onHeaders(): void {}
  onInterim(): void {}
  onData(_chunk: Uint8Array, start: number, end: number, endStream: boolean): void {
    this.stream?.consume(end - start);
    if (endStream) finished++;
  }
  onTrailers(): void {}
  onReset(): void {
    throw new Error('a request was reset');
  }
  onWritable(): void {}
}

class Owner implements H2ConnectionSink {
  onRequest(stream: H2StreamHandle): H2StreamSink {
    stream.sendHeaders(response, false);
    stream.sendData(BODY, 0, BODY.length, true);
    return new Responder();
  }
  onSettings(): void {}
  onGoaway(): void {}
  onPong(): void {}
  onOutput(): void {}
}

const owner = new Owner();
const client = new H2Connection({ role: 'client' }, owner, clientOut);
const server = new H2Connection({ role: 'server' }, owner, serverOut);

/** One hand-over from one side to the other. */
function carry(from: H2Connection, out: ByteWriter, source: BufferSource, to: H2Connection): void {
  from.flush();
  if (out.length === 0) return;
  const { buffer, bytes } = out.take();
  if (!to.recv(buffer, 0, bytes, 0)) throw new Error(to.error?.message);
  source.release(buffer);
}

function exchange(pair: (round: number) => readonly [FieldList, FieldList], rounds: number, perTurn: number): void {
  for (let round = 0; round < rounds;) {
    for (let i = 0; i < perTurn; i++, round++) {
      const [request, answer] = pair(round);
      response = answer;
      const sink = new Requester();
      sink.stream = client.request(request, true, sink);
    }
    carry(client, clientOut, clientSource, server);
    carry(server, serverOut, serverSource, client);
  }
}

const pair = CASES[name];
if (pair === undefined) throw new Error(`cases: ${Object.keys(CASES).join(', ')}`);
const rounds = Number(roundsText);
exchange(pair, rounds, 8);
// A turn carries at most 256 KB, so larger bodies go fewer at a time.
for (const perTurn of BODY.length > 4000 ? [1, 8] : [1, 8, 64]) {
  const before = process.cpuUsage();
  finished = 0;
  exchange(pair, rounds, perTurn);
  const { user, system } = process.cpuUsage(before);
  if (finished < rounds) throw new Error(`${finished} of ${rounds} finished`);
  const ns = ((user + system) * 1000) / rounds;
  process.stdout.write(`${name}, ${perTurn} per turn: ${ns.toFixed(0)} ns of CPU per request and response\n`);
}
