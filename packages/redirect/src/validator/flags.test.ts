// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parseValidatorFlags } from '../index.ts';

describe('parseValidatorFlags', () => {
  it('[NET-10] reads what an injector passes', () => {
    const args = '--log-format plain --log-level debug --connect-addr 1.1.1.1:20001 --listen-addr 0.0.0.0:4140 --timeout 10s';
    expect(parseValidatorFlags(args.split(' '))).toEqual({
      connect: { host: '1.1.1.1', port: 20_001 },
      listen: { host: '0.0.0.0', port: 4140 },
      timeoutMs: 10_000,
      logFormat: 'plain',
      logLevel: 'debug',
    });
  });

  it('[NET-10] [NET-13] reads IPv6 addresses', () => {
    const flags = parseValidatorFlags([
      '--connect-addr=[fd00::1]:20001',
      '--listen-addr=[::]:4140',
      '--timeout=500ms',
      '--log-format=json',
    ]);
    expect(flags).toMatchObject({
      connect: { host: 'fd00::1', port: 20_001 },
      listen: { host: '::', port: 4140 },
      timeoutMs: 500,
      logFormat: 'json',
    });
  });

  const refused: [string[], string][] = [
    [['--connect-addr', 'example.org:80'], '--connect-addr'],
    [['--listen-addr=0.0.0.0'], '--listen-addr'],
    [['--listen-addr=0.0.0.0:70000'], '--listen-addr'],
    [['--timeout', '10'], '--timeout'],
    [['--timeout'], '--timeout'],
    [['--log-format', 'xml'], '--log-format'],
    [['--verbose'], '--verbose'],
    [['stray'], 'stray'],
  ];
  it.each(refused)('refuses %j and names the culprit', (args, culprit) => {
    expect(() => parseValidatorFlags(args)).toThrow(culprit);
  });
});
