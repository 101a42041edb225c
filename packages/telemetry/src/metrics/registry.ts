// SPDX-License-Identifier: Apache-2.0
/*
 * The proxy's metric registry (proxy-contract §7). It holds no timers and no promises: series are plain objects with numeric fields, and
 * text is made when somebody scrapes. The control plane uses prom-client instead (`@weft/telemetry/prom`).
 */
import { CounterFamily, GaugeFamily, HistogramFamily, type FamilyLimits, type FamilyOptions } from './family.ts';
import { renderFamily, type AnyFamily } from './render.ts';

/** Limits and clock of a registry. */
export interface RegistryOptions {
  /** Most series of one family; default DEFAULT_MAX_SERIES. */
  readonly maxSeries?: number;
  /** Idle series of the legacy layout leave the output after this time; default ten minutes, 0 never. */
  readonly retainIdleMs?: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
}

/** A pod that talks to 2,000 distinct endpoints already writes tens of megabytes of histogram text. */
export const DEFAULT_MAX_SERIES = 2_000;
/** METRICS_RETAIN_IDLE of the reference (proxy-contract §7.1). */
export const DEFAULT_RETAIN_IDLE_MS = 600_000;
/** Legacy latency buckets in milliseconds (proxy-contract §7.1). */
export const LATENCY_MS_BUCKETS: readonly number[] = [
  1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000,
];

/** Families by name. Declaring a family twice gives the first one back, so that two stacks can share it. */
export class MetricRegistry {
  private readonly families: Map<string, AnyFamily>;
  private readonly limits: FamilyLimits;
  private readonly now: () => number;
  private readonly overflows: CounterFamily;

  constructor(options: RegistryOptions = {}) {
    this.families = new Map();
    this.now = options.now ?? ((): number => performance.now());
    this.limits = {
      maxSeries: options.maxSeries ?? DEFAULT_MAX_SERIES,
      retainIdleMs: options.retainIdleMs ?? DEFAULT_RETAIN_IDLE_MS,
      onOverflow: (family) => {
        this.overflows.get({ family }).inc();
      },
    };
    this.overflows = this.counter('weft_metrics_series_overflow', 'Series lookups beyond the limit of their family', ['family']);
  }

  /** A family of counters. In the openmetrics layout the name may be given with or without `_total`. */
  counter(name: string, help: string, labelNames?: readonly string[], options: FamilyOptions = {}): CounterFamily {
    return this.familyOf(name, CounterFamily, () => new CounterFamily(name, help, labelNames, options, this.limits));
  }

  gauge(name: string, help: string, labelNames?: readonly string[], options: FamilyOptions = {}): GaugeFamily {
    return this.familyOf(name, GaugeFamily, () => new GaugeFamily(name, help, labelNames, options, this.limits));
  }

  /** `bounds`: upper bounds in the family's unit, ascending, without +Inf. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labelNames?: readonly string[],
    options: FamilyOptions = {},
  ): HistogramFamily {
    return this.familyOf(name, HistogramFamily, () => new HistogramFamily(name, help, bounds, labelNames, options, this.limits));
  }

  /** The whole text: legacy families, then the others, each in order of declaration, then `# EOF`. */
  render(): string {
    const nowMs = this.now();
    let legacy = '';
    let openMetrics = '';
    for (const family of this.families.values()) {
      family.sweep(nowMs);
      if (family.layout === 'legacy') legacy += renderFamily(family);
      else openMetrics += renderFamily(family);
    }
    return `${legacy}${openMetrics}# EOF\n`;
  }

  private familyOf<F extends AnyFamily>(name: string, kind: abstract new (...args: never[]) => F, create: () => F): F {
    const found = this.families.get(name);
    if (found === undefined) {
      const family = create();
      this.families.set(name, family);
      return family;
    }
    if (!(found instanceof kind)) throw new TypeError(`metric ${name} is already declared as ${found.type}`);
    return found;
  }
}
