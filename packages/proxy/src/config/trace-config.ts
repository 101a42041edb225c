// SPDX-License-Identifier: Apache-2.0
/* What the environment says of traces (proxy-contract §1.5): the collector, and what describes this proxy in what it exports. */
import { optionalControlAddress } from './control-address.ts';
import type { TraceConfig } from './types.ts';
import type { EnvReader } from './values.ts';

export function traceConfig(env: EnvReader): TraceConfig {
  return {
    collector: optionalControlAddress(env, 'TRACE_COLLECTOR_SVC'),
    serviceName: env.text('TRACE_SERVICE_NAME') ?? 'linkerd-proxy',
    attributesPath: env.text('TRACE_ATTRIBUTES_PATH'),
    extraAttributes: keyValues(env.text('TRACE_EXTRA_ATTRIBUTES') ?? '', '\n'),
    resourceAttributes: keyValues(env.unprefixed('OTEL_RESOURCE_ATTRIBUTES') ?? '', ','),
    hostName: env.unprefixed('HOSTNAME'),
  };
}

/** `k=v` items; quotes around a value go, and so do items without a key or without `=`. The first of a name wins. */
function keyValues(text: string, separator: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const item of text.split(separator)) {
    const equals = item.indexOf('=');
    const key = item.slice(0, Math.max(0, equals)).trim();
    if (key === '' || values.has(key)) continue;
    values.set(
      key,
      item
        .slice(equals + 1)
        .trim()
        .replaceAll(/^"+|"+$/g, ''),
    );
  }
  return values;
}
