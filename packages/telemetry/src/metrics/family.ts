// SPDX-License-Identifier: Apache-2.0
/*
 * A metric family: a name, a type, and its series by label set. Handles are looked up once per connection, endpoint or route and kept.
 *
 * Two bounds keep a family from growing with what peers send. Past `maxSeries`, new label sets share one series that is never rendered
 * and the registry counts them. And a series of the legacy layout that has not moved for the retention time is dropped from the
 * output (proxy-contract §7.1); whoever still holds its handle may go on counting: the series comes back at the next scrape after it
 * moved, and its memory goes once nobody holds it.
 */
import { formatLabels, type Labels } from './labels.ts';
import { Counter, Gauge, Histogram } from './series.ts';

/** Which of the two encoders of the proxy writes a family (proxy-contract §7). */
export type MetricLayout = 'legacy' | 'openmetrics';
export type MetricType = 'counter' | 'gauge' | 'histogram';

/** Options of a family. */
export interface FamilyOptions {
  /** Default: openmetrics. */
  readonly layout?: MetricLayout;
  /** Unit as prometheus-client writes it in a UNIT line; the name must end with it. */
  readonly unit?: 'seconds' | 'bytes';
  /** Written with a fraction always (`3.0`). Default: only histogram sums of the openmetrics layout. */
  readonly isFloat?: boolean;
  /** Overrides the registry's limit. */
  readonly maxSeries?: number;
}

/** What the registry tells its families. */
export interface FamilyLimits {
  readonly maxSeries: number;
  /** For the legacy layout; 0 keeps series for ever. */
  readonly retainIdleMs: number;
  /** Called for each lookup that found the family full. */
  readonly onOverflow: (family: string) => void;
}

type AnySeries = Counter | Gauge | Histogram;

interface Entry<S extends AnySeries> {
  readonly series: S;
  readonly read: (() => number) | undefined;
  /** Value at the last sweep that saw it move, and that sweep's time. */
  seen: number;
  movedMs: number;
}

/** Base of the three kinds; callers use those. */
export abstract class Family<S extends AnySeries> {
  readonly name: string;
  readonly help: string;
  readonly type: MetricType;
  readonly layout: MetricLayout;
  readonly unit: 'seconds' | 'bytes' | undefined;
  readonly isFloat: boolean;
  private readonly labelNames: readonly string[] | undefined;
  private readonly limits: FamilyLimits;
  private readonly maxSeries: number;
  private readonly live: Map<string, Entry<S>>;
  /** Idle series that somebody may still hold, without keeping them alive. */
  private readonly idle: Map<string, WeakRef<S>>;
  private overflow: S | undefined;

  constructor(
    type: MetricType,
    name: string,
    help: string,
    labelNames: readonly string[] | undefined,
    options: FamilyOptions,
    limits: FamilyLimits,
  ) {
    this.type = type;
    this.layout = options.layout ?? 'openmetrics';
    this.name = this.layout === 'openmetrics' && type === 'counter' && name.endsWith('_total') ? name.slice(0, -6) : name;
    this.help = help;
    this.unit = options.unit;
    this.isFloat = options.isFloat ?? false;
    this.labelNames = labelNames;
    this.limits = limits;
    this.maxSeries = options.maxSeries ?? limits.maxSeries;
    this.live = new Map();
    this.idle = new Map();
    this.overflow = undefined;
  }

  protected abstract create(): S;
  protected abstract magnitude(series: S): number;

  /** Number of series that are rendered. */
  get size(): number {
    return this.live.size;
  }

  /**
   * The series of a label set, made at the first call. Takes labels, or text that `formatLabels` gave. With label names declared, exactly
   * those are written, in that order, missing ones empty.
   */
  get(labels: Labels | string = ''): S {
    return this.entry(this.keyOf(labels), undefined);
  }

  /** Removes a series from the output at once; a handle to it may still be counted on, without effect. */
  remove(labels: Labels | string): void {
    const key = this.keyOf(labels);
    this.live.delete(key);
    this.idle.delete(key);
  }

  /** Series in order of creation. A series with a callback has its value read first. */
  *entries(): IterableIterator<readonly [labels: string, series: S]> {
    for (const [labels, { series, read }] of this.live) {
      if (read !== undefined && !(series instanceof Histogram)) series.value = read();
      yield [labels, series];
    }
  }

  /** Drops series that have been idle for the retention time and takes back those that moved since. The registry calls it when rendering. */
  sweep(nowMs: number): void {
    const { retainIdleMs } = this.limits;
    if (this.layout !== 'legacy' || retainIdleMs <= 0) return;
    for (const [key, reference] of this.idle) {
      const series = reference.deref();
      if (series === undefined) this.idle.delete(key);
      else if (this.magnitude(series) !== this.seenWhenIdle(series)) this.revive(key, series, nowMs);
    }
    for (const [key, entry] of this.live) {
      const magnitude = this.magnitude(entry.series);
      if (magnitude !== entry.seen || entry.movedMs < 0) {
        entry.seen = magnitude;
        entry.movedMs = nowMs;
      } else if (nowMs - entry.movedMs >= retainIdleMs && entry.read === undefined && !(entry.series instanceof Gauge && magnitude !== 0)) {
        this.live.delete(key);
        this.idle.set(key, new WeakRef(entry.series));
        idleMagnitudes.set(entry.series, magnitude);
      }
    }
  }

  protected entry(key: string, read: (() => number) | undefined): S {
    const found = this.live.get(key);
    if (found !== undefined) return found.series;
    const held = this.idle.get(key)?.deref();
    if (held !== undefined) {
      this.revive(key, held, -1);
      return held;
    }
    if (this.live.size >= this.maxSeries) {
      this.limits.onOverflow(this.name);
      this.overflow ??= this.create();
      return this.overflow;
    }
    const series = this.create();
    // -1: the clock starts at the first sweep, so that a series made between two scrapes is not taken for idle.
    this.live.set(key, { series, read, seen: 0, movedMs: -1 });
    return series;
  }

  private revive(key: string, series: S, nowMs: number): void {
    this.idle.delete(key);
    this.live.set(key, { series, read: undefined, seen: this.magnitude(series), movedMs: nowMs });
  }

  private seenWhenIdle(series: S): number {
    return idleMagnitudes.get(series) ?? 0;
  }

  protected keyOf(labels: Labels | string): string {
    if (typeof labels === 'string') return labels;
    if (this.labelNames === undefined) return formatLabels(labels);
    const ordered: Record<string, string> = {};
    for (const name of this.labelNames) ordered[name] = labels[name] ?? '';
    return formatLabels(ordered);
  }
}

const idleMagnitudes = new WeakMap<AnySeries, number>();

/** Family of counters. */
export class CounterFamily extends Family<Counter> {
  constructor(name: string, help: string, labelNames: readonly string[] | undefined, options: FamilyOptions, limits: FamilyLimits) {
    super('counter', name, help, labelNames, options, limits);
  }

  /** A counter whose value is read when somebody scrapes. */
  callback(labels: Labels | string, read: () => number): void {
    this.entry(this.keyOf(labels), read);
  }

  protected create(): Counter {
    return new Counter();
  }

  protected magnitude(series: Counter): number {
    return series.value;
  }
}

/** Family of gauges. */
export class GaugeFamily extends Family<Gauge> {
  constructor(name: string, help: string, labelNames: readonly string[] | undefined, options: FamilyOptions, limits: FamilyLimits) {
    super('gauge', name, help, labelNames, options, limits);
  }

  /** A gauge whose value is read when somebody scrapes. */
  callback(labels: Labels | string, read: () => number): void {
    this.entry(this.keyOf(labels), read);
  }

  protected create(): Gauge {
    return new Gauge();
  }

  protected magnitude(series: Gauge): number {
    return series.value;
  }
}

/** Family of histograms over one set of bounds. */
export class HistogramFamily extends Family<Histogram> {
  readonly bounds: readonly number[];

  constructor(
    name: string,
    help: string,
    bounds: readonly number[],
    labelNames: readonly string[] | undefined,
    options: FamilyOptions,
    limits: FamilyLimits,
  ) {
    super('histogram', name, help, labelNames, options, limits);
    this.bounds = bounds;
  }

  protected create(): Histogram {
    return new Histogram(this.bounds);
  }

  protected magnitude(series: Histogram): number {
    return series.count;
  }
}
