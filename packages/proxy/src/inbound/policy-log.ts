// SPDX-License-Identifier: Apache-2.0
/*
 * What policy decided, for people to read: refusals, and what only the audit policy let in (features AZ-09). Whoever is refused chooses how often,
 * so the lines of a second are bounded; the metrics count them all.
 */
import type { Meta } from '@weft/routing';
import type { InboundPolicy } from '@weft/routing';
import type { Clock } from '../runtime.ts';
import { type InboundClient, clientIdentity } from './client.ts';

/** Lines of policy that the proxy writes within a second. */
export const MAX_POLICY_LINES_PER_SECOND = 20;

const WINDOW_MS = 1000;

export interface PolicyLogSink {
  info(message: string, fields?: Record<string, unknown>): void;
}

/** Shared by all ports of a proxy. */
export class PolicyLog {
  private readonly sink: PolicyLogSink;
  private readonly now: Clock['now'];
  private windowStartMs = Number.NEGATIVE_INFINITY;
  private written = 0;
  private suppressed = 0;

  constructor(sink: PolicyLogSink, now: Clock['now']) {
    this.sink = sink;
    this.now = now;
  }

  requestDenied(server: InboundPolicy['meta'], route: Meta, client: InboundClient): void {
    if (this.mayWrite()) this.write('Request denied', { ...serverFields(server), ...metaFields('route', route), ...clientFields(client) });
  }

  /** Only for authorizations that `isAudit` names. */
  requestAudited(server: InboundPolicy['meta'], route: Meta, authorization: Meta, client: InboundClient): void {
    if (!this.mayWrite()) return;
    this.write('Request allowed', {
      ...serverFields(server),
      ...metaFields('route', route),
      ...metaFields('authz', authorization),
      ...clientFields(client),
    });
  }

  connectionDenied(server: InboundPolicy['meta'], client: InboundClient): void {
    if (this.mayWrite()) this.write('Connection denied', { ...serverFields(server), ...clientFields(client) });
  }

  connectionAudited(server: InboundPolicy['meta'], authorization: Meta, client: InboundClient): void {
    if (!this.mayWrite()) return;
    this.write('Connection allowed', { ...serverFields(server), ...metaFields('authz', authorization), ...clientFields(client) });
  }

  connectionTerminated(server: InboundPolicy['meta'], client: InboundClient): void {
    if (this.mayWrite()) this.write('Connection terminated due to policy change', { ...serverFields(server), ...clientFields(client) });
  }

  private mayWrite(): boolean {
    const now = this.now();
    if (now - this.windowStartMs >= WINDOW_MS) {
      this.windowStartMs = now;
      this.written = 0;
    }
    if (this.written >= MAX_POLICY_LINES_PER_SECOND) {
      this.suppressed += 1;
      return false;
    }
    this.written += 1;
    return true;
  }

  private write(message: string, fields: Record<string, unknown>): void {
    const { suppressed } = this;
    this.suppressed = 0;
    this.sink.info(message, suppressed === 0 ? fields : { ...fields, suppressed });
  }
}

/** Whether the authorization lets in what would otherwise be refused, to be looked at. */
export function isAudit(authorization: Meta): boolean {
  return authorization.kind === 'default' && authorization.name === 'audit';
}

function serverFields({ group, kind, name }: InboundPolicy['meta']): Record<string, unknown> {
  return { 'server.group': group, 'server.kind': kind, 'server.name': name };
}

function metaFields(prefix: string, meta: Meta): Record<string, unknown> {
  const { group, kind, name } = meta.kind === 'resource' ? meta.resource : { group: '', kind: 'default', name: meta.name };
  return { [`${prefix}.group`]: group, [`${prefix}.kind`]: kind, [`${prefix}.name`]: name };
}

function clientFields(client: InboundClient): Record<string, unknown> {
  const identity = clientIdentity(client);
  return { 'client.tls': client.tls.kind, 'client.ip': client.ip, ...(identity === undefined ? {} : { 'client.id': identity }) };
}
