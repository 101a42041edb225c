// SPDX-License-Identifier: Apache-2.0
/* The value grammar of the proxy's environment (proxy-contract §1.1). A bad value is a ConfigError that names the variable and what it takes. */
import type { SocketAddress } from '@weft/net';
import type { Backoff } from './types.ts';

/** A variable that cannot be used. `message` is for the operator: the variable, its value's fault, the remedy. */
export class ConfigError extends Error {
  readonly code = 'ERR_PROXY_CONFIG';
  readonly variable: string;

  constructor(variable: string, reason: string) {
    super(`${variable}: ${reason}`);
    this.name = 'ConfigError';
    this.variable = variable;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'LINKERD2_PROXY_';
/** Milliseconds beyond this would lose precision, and mean more than a quarter of a million years. */
const MAX_DURATION_MS = Number.MAX_SAFE_INTEGER;

/** The whole name of a variable given without its prefix. */
export function variableName(name: string): string {
  return PREFIX + name;
}
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Typed reads of one environment; names are given without the prefix. */
export class EnvReader {
  private readonly env: Environment;

  constructor(env: Environment) {
    this.env = env;
  }

  /** Raw text; undefined when unset. */
  text(name: string): string | undefined {
    return this.env[PREFIX + name];
  }

  /** Raw text of a variable that has no prefix; undefined when unset. */
  unprefixed(name: string): string | undefined {
    return this.env[name];
  }

  /** Text that must be there and not be empty. */
  required(name: string, remedy: string): string {
    const value = this.text(name);
    if (value === undefined || value === '') throw new ConfigError(PREFIX + name, `is not set; ${remedy}`);
    return value;
  }

  durationMs(name: string, fallback: number): number;
  durationMs(name: string, fallback: undefined): number | undefined;
  durationMs(name: string, fallback: number | undefined): number | undefined {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const match = /^\s*(\d+)(ms|s|m|h|d)?\s*$/.exec(value);
    const durationMs = Number(match?.[1]) * (UNIT_MS[match?.[2] ?? ''] ?? 0);
    if (match === null || (match[2] === undefined && Number(match[1]) !== 0) || durationMs > MAX_DURATION_MS) {
      throw new ConfigError(PREFIX + name, 'is not a duration; write a whole number with a unit: 500ms, 10s, 5m, 1h, 1d');
    }
    return durationMs;
  }

  /** As `durationMs` without default, an empty text being the same as none (§1.4: limits of control-plane streams). */
  optionalDurationMs(name: string): number | undefined {
    return this.text(name) === '' ? undefined : this.durationMs(name, undefined);
  }

  flag(name: string, fallback: boolean): boolean;
  flag(name: string, fallback: undefined): boolean | undefined;
  flag(name: string, fallback: boolean | undefined): boolean | undefined {
    return this.wholeFlag(PREFIX + name, fallback);
  }

  /** As `flag`, the name given in full. */
  wholeFlag(variable: string, fallback: boolean): boolean;
  wholeFlag(variable: string, fallback: boolean | undefined): boolean | undefined;
  wholeFlag(variable: string, fallback: boolean | undefined): boolean | undefined {
    const value = this.env[variable];
    if (value === undefined) return fallback;
    if (value === 'true') return true;
    if (value === 'false') return false;
    throw new ConfigError(variable, 'is neither true nor false');
  }

  count(name: string, fallback: number, max?: number): number;
  count(name: string, fallback: undefined, max?: number): number | undefined;
  count(name: string, fallback: number | undefined, max = 0xffff_ffff): number | undefined {
    const value = this.text(name);
    if (value === undefined) return fallback;
    const number = Number(value.trim());
    if (!/^\s*\d+\s*$/.test(value) || number > max) throw new ConfigError(PREFIX + name, `is not a whole number from 0 to ${max}`);
    return number;
  }

  /** Ports and ranges, blanks allowed. */
  ports(name: string): Set<number> {
    const ports = new Set<number>();
    for (const item of (this.text(name) ?? '').split(',')) {
      const text = item.trim();
      if (text === '') continue;
      const match = /^(\d+)(?:-(\d+))?$/.exec(text);
      const low = Number(match?.[1]);
      const high = match?.[2] === undefined ? low : Number(match[2]);
      if (match === null || low > high || high > 65_535) {
        throw new ConfigError(PREFIX + name, `has an item that is no port or range; write a list like 25,3306,8000-8010`);
      }
      for (let port = low; port <= high; port++) ports.add(port);
    }
    return ports;
  }

  /** CIDRs or bare addresses; text is checked where they are compiled. */
  networks(name: string): string[] {
    const networks: string[] = [];
    for (const item of (this.text(name) ?? '').split(',')) {
      const text = item.trim();
      if (text === '') continue;
      if (!isNetwork(text)) throw new ConfigError(PREFIX + name, 'has an item that is no network; write a list like 10.0.0.0/8,fd00::/8');
      networks.push(text);
    }
    return networks;
  }

  /** IP addresses. */
  ips(name: string): Set<string> {
    const ips = new Set<string>();
    for (const item of (this.text(name) ?? '').split(',')) {
      const text = item.trim();
      if (text === '') continue;
      if (!isIp(text)) throw new ConfigError(PREFIX + name, 'has an item that is no IP address');
      ips.add(canonicalIp(text));
    }
    return ips;
  }

  /** DNS suffixes; `.` = everything. */
  suffixes(name: string, fallback: readonly string[]): readonly string[] {
    const value = this.text(name);
    if (value === undefined) return fallback;
    return value
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
      .map((item) => {
        if (item !== '.' && !/^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?$/.test(item)) {
          throw new ConfigError(PREFIX + name, 'has an item that is no DNS suffix');
        }
        return item.toLowerCase();
      });
  }

  socketAddresses(name: string, fallback: readonly SocketAddress[]): readonly SocketAddress[] {
    const value = this.text(name);
    if (value === undefined) return fallback;
    return value.split(',').map((item) => {
      const address = parseSocketAddress(item.trim());
      if (address === undefined) throw new ConfigError(PREFIX + name, 'is not IP:port (IPv6 in brackets)');
      return address;
    });
  }

  backoff(base: string, fallback: Backoff): Backoff {
    const minMs = this.durationMs(`${base}_EXP_BACKOFF_MIN`, undefined);
    const maxMs = this.durationMs(`${base}_EXP_BACKOFF_MAX`, undefined);
    const jitter = this.text(`${base}_EXP_BACKOFF_JITTER`);
    if (minMs === undefined && maxMs === undefined && jitter === undefined) return fallback;
    const variable = `${PREFIX}${base}_EXP_BACKOFF_MIN`;
    if (minMs === undefined || maxMs === undefined) throw new ConfigError(variable, 'the minimum and the maximum must be set together');
    if (minMs > maxMs || minMs === 0) throw new ConfigError(variable, 'must be above 0 and not above the maximum');
    const jitterRatio = jitter === undefined ? 0 : Number(jitter);
    if (jitter?.trim() === '' || !(jitterRatio >= 0 && jitterRatio <= 100))
      throw new ConfigError(`${PREFIX}${base}_EXP_BACKOFF_JITTER`, 'is not a number from 0 to 100');
    return { minMs, maxMs, jitterRatio };
  }
}

/** An address as sockets show it: IPv6 as RFC 5952 writes it, IPv4-mapped ones as IPv4. */
export function canonicalIp(ip: string): string {
  if (!ip.includes(':')) return ip;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1];
  return mapped ?? new URL(`http://[${ip}]/`).hostname.slice(1, -1);
}

export function isIp(text: string): boolean {
  return isIpv4(text) || isIpv6(text);
}

function isIpv4(text: string): boolean {
  const parts = text.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255);
}

function isIpv6(text: string): boolean {
  if (!text.includes(':') || !/^[0-9A-Fa-f:.]+$/.test(text)) return false;
  try {
    return new URL(`http://[${text}]/`).hostname.length > 2;
  } catch {
    return false;
  }
}

function isNetwork(text: string): boolean {
  const slash = text.indexOf('/');
  if (slash < 0) return isIp(text);
  const address = text.slice(0, slash);
  const length = text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(length)) return false;
  return isIpv4(address) ? Number(length) <= 32 : isIpv6(address) && Number(length) <= 128;
}

/** `1.2.3.4:80`, `[::1]:80`. Undefined where it is neither. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const ip = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (ip === undefined || !isIp(ip) || port > 65_535) return undefined;
  return { ip, port };
}

/** `host:port` of a control-plane service, host a name or an IP. */
export function parseHostPort(text: string): { host: string; port: number } | undefined {
  const address = parseSocketAddress(text);
  if (address !== undefined) return { host: address.ip, port: address.port };
  const match = /^([A-Za-z0-9_.-]+):(\d{1,5})$/.exec(text);
  if (match === null || Number(match[2]) > 65_535 || Number(match[2]) === 0) return undefined;
  return { host: (match[1] as string).toLowerCase(), port: Number(match[2]) };
}
