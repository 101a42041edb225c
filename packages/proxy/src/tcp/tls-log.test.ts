// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { MAX_TLS_LINES_PER_SECOND, TlsLog } from './tls-log.ts';

function open() {
  const lines: string[] = [];
  let nowMs = 0;
  const note =
    (level: string) =>
    (message: string, fields?: Record<string, unknown>): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const log = new TlsLog({ debug: note('debug'), info: note('info') }, () => nowMs);
  return { log, lines, advance: (ms: number) => (nowMs += ms) };
}

describe('failed handshakes', () => {
  it.each([
    ['ERR_TLS_CERTIFICATE', 'the certificate of 10.0.0.1:5 does not verify', 'info'],
    ['ERR_TLS_IDENTITY', 'expected a.b', 'info'],
    ['ERR_TLS_HANDSHAKE', 'TLS handshake with 10.0.0.1:5 failed: certificate has expired', 'info'],
    ['ERR_TLS_HANDSHAKE', 'TLS handshake with 10.0.0.1:5 failed: wrong version number', 'debug'],
    ['ERR_TLS_HANDSHAKE_TIMEOUT', 'no TLS handshake', 'debug'],
    ['ECONNRESET', 'reset', 'debug'],
  ])('with %s, %s, are told at %s or finer', (code, message, level) => {
    const { log, lines } = open();
    log.failed('inbound', 8080, { code, message });
    expect(lines).toEqual([
      `${level} TLS handshake failed ${JSON.stringify({ direction: 'inbound', 'target.port': 8080, error: message })}`,
    ]);
  });

  it('in number do not flood the log, and none is forgotten', () => {
    const { log, lines, advance } = open();
    const fail = (): void => log.failed('outbound', 80, { code: 'ERR_TLS_IDENTITY', message: 'x' });
    for (let i = 0; i < 100; i++) fail();
    expect(lines).toHaveLength(MAX_TLS_LINES_PER_SECOND);
    advance(1000);
    fail();
    expect(lines.at(-1)).toContain(`"suppressed":${100 - MAX_TLS_LINES_PER_SECOND}`);
  });
});
