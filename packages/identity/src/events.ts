// SPDX-License-Identifier: Apache-2.0
/*
 * Kubernetes Events of the identity service (control-contract §2.2, §2.3, features ID-07): written through the resource source and never
 * waited for, since no certificate may depend on them. A reason that repeats for an object updates its one Event, as client-go's
 * recorder does for equal ones, so that neither an API server nor a directory's overlay fills up with one per certificate.
 */
import { randomBytes } from 'node:crypto';
import { EventKind, type ResourceInput, type ResourceSource } from '@weft/resources';
import type { Logger } from '@weft/telemetry';

/** What an event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  /** `kubectl describe` shows events of this uid only. */
  readonly uid?: string;
}

export type EventType = 'Normal' | 'Warning';

/** Records events. */
export interface EventRecorder {
  record(subject: EventSubject, type: EventType, reason: string, message: string): void;
}

/** Events on their way at one time; more are dropped, with a debug line. */
export const MAX_PENDING_EVENTS = 256;
/** Events that are remembered for updating; the oldest is forgotten first. */
export const MAX_REMEMBERED_EVENTS = 4096;
/** Name under which the reference's identity service writes events (`source.component`). */
const IDENTITY_COMPONENT = 'linkerd-identity';

interface Remembered {
  readonly name: string;
  readonly firstTimestamp: string;
  count: number;
  /** The write before this one; updates of one event must not overtake each other. */
  written: Promise<void>;
}

/** A recorder that writes to a source, in the name of a component. */
export function createEventRecorder(
  source: ResourceSource,
  logger: Logger,
  now: () => number = Date.now,
  component: string = IDENTITY_COMPONENT,
): EventRecorder {
  const remembered = new Map<string, Remembered>();
  let pending = 0;

  const write = async (
    subject: EventSubject,
    type: EventType,
    reason: string,
    message: string,
    event: Remembered,
    time: string,
  ): Promise<void> => {
    const { count } = event;
    if (count > 1) {
      const patch = { count, lastTimestamp: time, message };
      const isUpdated = await source.patch(EventKind, subject.namespace, event.name, patch, component).then(
        () => true,
        // Expired or deleted meanwhile: written anew below.
        () => false,
      );
      if (isUpdated) return;
    }
    await source.create(EventKind, eventObject(component, subject, type, reason, message, event, time));
  };

  return {
    record(subject, type, reason, message) {
      if (pending >= MAX_PENDING_EVENTS) {
        logger.debug('Event dropped', { reason });
        return;
      }
      const time = `${new Date(now()).toISOString().slice(0, 19)}Z`;
      const key = [subject.kind, subject.namespace, subject.name, subject.uid ?? '', type, reason].join('/');
      let event = remembered.get(key);
      if (event === undefined) {
        event = { name: `${subject.name}.${randomBytes(8).toString('hex')}`, firstTimestamp: time, count: 0, written: Promise.resolve() };
        remembered.set(key, event);
        const [oldest] = remembered.keys();
        if (remembered.size > MAX_REMEMBERED_EVENTS && oldest !== undefined) remembered.delete(oldest);
      }
      event.count += 1;
      pending += 1;
      const current = { ...event };
      event.written = event.written
        .then(() => write(subject, type, reason, message, current, time))
        .catch((error: unknown) => logger.debug('Event not written', { reason, error: (error as Error).message }))
        .finally(() => (pending -= 1));
    },
  };
}

function eventObject(
  component: string,
  subject: EventSubject,
  type: EventType,
  reason: string,
  message: string,
  event: Remembered,
  time: string,
): ResourceInput {
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: event.name, namespace: subject.namespace },
    involvedObject: { ...subject },
    type,
    reason,
    message,
    count: event.count,
    firstTimestamp: event.firstTimestamp,
    lastTimestamp: time,
    source: { component },
  };
}
