// SPDX-License-Identifier: Apache-2.0
/*
 * Options of a connection with the defaults of each role filled in and checked. The defaults are what the reference proxy
 * announces in that role.
 */
import { H2UsageError } from '../errors.ts';
import { DEFAULT_WINDOW_BYTES, MAX_MAX_FRAME_BYTES, MAX_WINDOW_BYTES, MIN_MAX_FRAME_BYTES } from '../frame/settings.ts';
import { DEFAULT_H2_LIMITS } from '../limits.ts';
import type { H2Limits, H2Options } from '../types.ts';

/** Options without gaps. */
export interface ResolvedOptions extends H2Options {
  readonly limits: H2Limits;
}

const DEFAULT_CONNECTION_WINDOW_BYTES = 1_048_576;
const DEFAULT_MAX_HEADER_LIST_BYTES = 16_384;

let latestInput: (Partial<H2Options> & Pick<H2Options, 'role'>) | undefined;
let latestResolved: ResolvedOptions | undefined;

/**
 * Fills in the defaults. Throws H2UsageError for values that RFC 9113 §6.5.2 does not allow. Connections made with the same
 * options object share the result, so it must not be changed in between.
 */
export function resolveOptions(options: Partial<H2Options> & Pick<H2Options, 'role'>): ResolvedOptions {
  if (options === latestInput && latestResolved !== undefined) return latestResolved;
  latestResolved = fillOptions(options);
  latestInput = options;
  return latestResolved;
}

function fillOptions(options: Partial<H2Options> & Pick<H2Options, 'role'>): ResolvedOptions {
  const resolved: ResolvedOptions = {
    role: options.role,
    initialStreamWindowBytes: options.initialStreamWindowBytes ?? DEFAULT_WINDOW_BYTES,
    initialConnectionWindowBytes: options.initialConnectionWindowBytes ?? DEFAULT_CONNECTION_WINDOW_BYTES,
    maxFrameBytes: options.maxFrameBytes ?? MIN_MAX_FRAME_BYTES,
    maxConcurrentStreams: options.maxConcurrentStreams,
    maxHeaderListBytes: options.maxHeaderListBytes ?? DEFAULT_MAX_HEADER_LIST_BYTES,
    limits: { ...DEFAULT_H2_LIMITS, ...options.limits },
  };
  requireRange('initialStreamWindowBytes', resolved.initialStreamWindowBytes, 0, MAX_WINDOW_BYTES);
  requireRange('initialConnectionWindowBytes', resolved.initialConnectionWindowBytes, DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES);
  requireRange('maxFrameBytes', resolved.maxFrameBytes, MIN_MAX_FRAME_BYTES, MAX_MAX_FRAME_BYTES);
  requireRange('maxConcurrentStreams', resolved.maxConcurrentStreams ?? 0, 0, 0xffff_ffff);
  requireRange('maxHeaderListBytes', resolved.maxHeaderListBytes, 0, 0xffff_ffff);
  return resolved;
}

function requireRange(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new H2UsageError('ERR_H2_OPTION', `${name} must be an integer from ${least} to ${most}, not ${value}`);
}
