// SPDX-License-Identifier: Apache-2.0
/*
 * Handshakes that failed because of a certificate, for people to read: an expired one, a skewed clock, a foreign anchor or another identity is what
 * an operator has to set right (features ID-04, OP-04). A peer chooses how often it fails, so the lines of a second are bounded; metrics count all.
 */
import type { NetError } from '@weft/net';

/** Lines within a second; what is beyond is counted in the next line. */
export const MAX_TLS_LINES_PER_SECOND = 5;
const WINDOW_MS = 1000;

export interface TlsLogSink {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
}

export class TlsLog {
  private readonly sink: TlsLogSink;
  private readonly now: () => number;
  private windowStartMs = Number.NEGATIVE_INFINITY;
  private written = 0;
  private suppressed = 0;

  constructor(sink: TlsLogSink, now: () => number) {
    this.sink = sink;
    this.now = now;
  }

  /** `port` is the one of the target: 4143 for connections straight to the proxy. */
  failed(direction: 'inbound' | 'outbound', port: number, error: NetError): void {
    const fields = { direction, 'target.port': port, error: error.message };
    // Resets and time-outs are everyday life; what a certificate says is not.
    if (!isAboutCertificate(error)) {
      this.sink.debug('TLS handshake failed', fields);
      return;
    }
    const nowMs = this.now();
    if (nowMs - this.windowStartMs >= WINDOW_MS) {
      this.windowStartMs = nowMs;
      this.written = 0;
    }
    if (this.written >= MAX_TLS_LINES_PER_SECOND) {
      this.suppressed += 1;
      return;
    }
    this.written += 1;
    const { suppressed } = this;
    this.suppressed = 0;
    this.sink.info('TLS handshake failed', suppressed === 0 ? fields : { ...fields, suppressed });
  }
}

function isAboutCertificate({ code, message }: NetError): boolean {
  return code === 'ERR_TLS_CERTIFICATE' || code === 'ERR_TLS_IDENTITY' || (code === 'ERR_TLS_HANDSHAKE' && message.includes('certificate'));
}
