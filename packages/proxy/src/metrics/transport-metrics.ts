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
  readonly cost: TransferCost | undefined;
  countedRead: number;
  countedWrite: number;
}

/** Bytes to and from endpoints of one zone locality. */
interface TransferCost {
  readonly received: Counter;
  readonly sent: Counter;
}

const LEGACY = { layout: 'legacy' } as const;

export class TransportMetrics {
  private readonly opens: CounterFamily;
  private readonly openGauges: GaugeFamily;
  private readonly reads: CounterFamily;
  private readonly writes: CounterFamily;
  private readonly closes: CounterFamily;
  private readonly costs: CounterFamily;
  private readonly live = new Set<Live>();

  constructor(registry: MetricRegistry) {
    this.opens = registry.counter('tcp_open_total', 'Total count of opened connections', undefined, LEGACY);
    this.openGauges = registry.gauge('tcp_open_connections', 'Number of currently-open connections', undefined, LEGACY);
    this.reads = registry.counter('tcp_read_bytes_total', 'Total count of bytes read from peers', undefined, LEGACY);
    this.writes = registry.counter('tcp_write_bytes_total', 'Total count of bytes written to peers', undefined, LEGACY);
    this.closes = registry.counter('tcp_close_total', 'Total count of closed connections', undefined, LEGACY);
    this.costs = registry.counter('outbound_tcp_transfer_cost_bytes_total', 'Bytes exchanged with endpoints, by zone locality', undefined, {
      unit: 'bytes',
    });
  }

  /** Counts a connection from now to its close. */
  track(stream: ByteStream, direction: 'inbound' | 'outbound', peer: 'src' | 'dst', labels: Readonly<Record<string, string>>): void {
    const { authority, ...rest } = labels;
    const all: Record<string, string> = { direction, peer, ...(authority === undefined ? {} : { authority }), ...rest };
    this.opens.get(all).value += 1;
    const open: Gauge = this.openGauges.get(all);
    open.value += 1;
    const entry: Live = {
      stream,
      read: this.reads.get(all),
      write: this.writes.get(all),
      cost: this.cost(direction, peer, labels),
      countedRead: 0,
      countedWrite: 0,
    };
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

  private cost(direction: 'inbound' | 'outbound', peer: 'src' | 'dst', labels: Readonly<Record<string, string>>): TransferCost | undefined {
    if (direction === 'inbound' || peer === 'src') return undefined;
    const locality = labels['dst_zone_locality'];
    const zone_locality = locality === 'local' ? 'Local' : locality === 'remote' ? 'Remote' : 'Unknown';
    return { received: this.costs.get({ op: 'Recv', zone_locality }), sent: this.costs.get({ op: 'Send', zone_locality }) };
  }

  /** Brings the byte counters up to date; called before each scrape. */
  collect(): void {
    for (const entry of this.live) settle(entry);
  }
}

function settle(entry: Live): void {
  const { stream, cost } = entry;
  const readBytes = stream.bytesRead - entry.countedRead;
  const writtenBytes = stream.bytesWritten - entry.countedWrite;
  entry.read.value += readBytes;
  entry.write.value += writtenBytes;
  if (cost !== undefined) {
    cost.received.value += readBytes;
    cost.sent.value += writtenBytes;
  }
  entry.countedRead = stream.bytesRead;
  entry.countedWrite = stream.bytesWritten;
}
