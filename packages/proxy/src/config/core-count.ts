// SPDX-License-Identifier: Apache-2.0
/* How many cores the environment asks for (proxy-contract §1.5): clamp(max, or the share of what is there, or 1; min; what is there). */
import { ConfigError, type EnvReader, variableName } from './values.ts';

/** Cores wanted, at least 1. `available` = cores of this machine. Throws ConfigError. */
export function coreCount(env: EnvReader, available: number): number {
  const min = env.count('CORES_MIN', env.count('CORES', 1));
  const max = env.count('CORES_MAX', undefined);
  const ratioText = env.text('CORES_MAX_RATIO');
  const ratio = ratioText === undefined ? undefined : Number(ratioText);
  if (ratio !== undefined && (ratioText?.trim() === '' || !(ratio > 0 && ratio <= 1)))
    throw new ConfigError(variableName('CORES_MAX_RATIO'), 'is not a number above 0 and up to 1');
  const wanted = max ?? (ratio === undefined ? 1 : Math.round(available * ratio));
  return Math.max(1, Math.min(available, Math.max(min, wanted)));
}
