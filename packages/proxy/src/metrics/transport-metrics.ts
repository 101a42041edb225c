// SPDX-License-Identifier: Apache-2.0
/*
 * Connection metrics (proxy-contract §7.1): opens, closes by errno, bytes, open connections. Bytes of running connections are added at
 * scrape time, so the data path counts nothing.
 */
import type { ByteStream, NetError } from '@weft/net';
import type { Counter, CounterFamily, Gauge, GaugeFamily, MetricRegistry } from '@weft/telemetry';

interface Live {
  readonly stream: ByteStream;
  readonly read: Counter;
  readonly write: Counter;
  countedRead: number;
  countedWrite: number;
}

const LEGACY = { layout: 'legacy' } as const;

export class TransportMetrics {
  private readonly opens: CounterFamily;
  private readonly openGauges: GaugeFamily;
  private readonly reads: CounterFamily;
  private readonly writes: CounterFamily;
  private readonly closes: CounterFamily;
  private readonly live = new Set<Live>();

  constructor(registry: MetricRegistry) {
    this.opens = registry.counter('tcp_open_total', 'Total count of opened connections', undefined, LEGACY);
    this.openGauges = registry.gauge('tcp_open_connections', 'Number of currently-open connections', undefined, LEGACY);
    this.reads = registry.counter('tcp_read_bytes_total', 'Total count of bytes read from peers', undefined, LEGACY);
    this.writes = registry.counter('tcp_write_bytes_total', 'Total count of bytes written to peers', undefined, LEGACY);
    this.closes = registry.counter('tcp_close_total', 'Total count of closed connections', undefined, LEGACY);
  }

  /** Counts a connection from now to its close. */
  track(stream: ByteStream, direction: 'inbound' | 'outbound', peer: 'src' | 'dst', labels: Readonly<Record<string, string>>): void {
    const { authority, ...rest } = labels;
    const all: Record<string, string> = { direction, peer, ...(authority === undefined ? {} : { authority }), ...rest };
    this.opens.get(all).value += 1;
    const open: Gauge = this.openGauges.get(all);
    open.value += 1;
    const entry: Live = { stream, read: this.reads.get(all), write: this.writes.get(all), countedRead: 0, countedWrite: 0 };
    this.live.add(entry);
    stream.onClosed = (error: NetError | undefined) => {
      this.live.delete(entry);
      settle(entry);
      open.value -= 1;
      this.closes.get({
        ...all,
        errno: error === undefined || !error.code.startsWith('E') || error.code.startsWith('ERR_') ? '' : error.code,
      }).value += 1;
    };
  }

  /** Brings the byte counters up to date; called before each scrape. */
  collect(): void {
    for (const entry of this.live) settle(entry);
  }
}

function settle(entry: Live): void {
  const { stream } = entry;
  entry.read.value += stream.bytesRead - entry.countedRead;
  entry.write.value += stream.bytesWritten - entry.countedWrite;
  entry.countedRead = stream.bytesRead;
  entry.countedWrite = stream.bytesWritten;
}
