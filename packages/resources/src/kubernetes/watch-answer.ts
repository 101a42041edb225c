// SPDX-License-Identifier: Apache-2.0
/*
 * One watch as an API server answers it: a JSON object a line, from a resourceVersion on or from the present state, with bookmarks so
 * that an idle watcher knows how far it is. A watcher that reads too slowly is cut off; it resumes where it stood. Source: Kubernetes API
 * concepts, "Efficient detection of changes", "Watch bookmarks".
 */
import type { ServerResponse } from 'node:http';

import { ResourceError } from '../errors.ts';
import type { JsonObject } from '../json-values.ts';
import { apiVersionOf } from '../kinds/registry.ts';
import type { Change } from '../store/change-log.ts';
import type { ObjectStore } from '../store/object-store.ts';
import { typeKey } from '../store/resource-type.ts';
import { selectedChange } from '../store/selected-change.ts';
import type { Gvk, Selector } from '../types.ts';
import { statusOf } from './status-answer.ts';
import { toWire } from './wire-object.ts';

/** What a watcher asked for. */
export interface WatchRequest {
  readonly gvk: Gvk;
  readonly selector: Selector;
  /** '' or '0': the present state first. */
  readonly resourceVersion: string;
  readonly wantsBookmarks: boolean;
  /** The server ends the watch after this long. */
  readonly timeoutMs: number;
}

/** Limits of one watch. */
export interface WatchLimits {
  readonly bookmarkMs: number;
  /** Bytes that may wait for a slow watcher. */
  readonly maxPendingBytes: number;
}

const EVENT_TYPES = { added: 'ADDED', modified: 'MODIFIED', deleted: 'DELETED' } as const;

/** Answers a watch until it times out or either side closes. Throws ResourceError before anything is written. */
export function answerWatch(store: ObjectStore, response: ServerResponse, request: WatchRequest, limits: WatchLimits): void {
  const { gvk, selector } = request;
  const key = typeKey(gvk);
  const initial = request.resourceVersion === '' || request.resourceVersion === '0' ? store.list(gvk, selector) : undefined;

  function write(type: string, object: JsonObject): void {
    response.write(`${JSON.stringify({ type, object })}\n`);
    if (response.writableLength > limits.maxPendingBytes) response.destroy();
  }

  function bookmark(): void {
    const { group, version, kind } = gvk;
    write('BOOKMARK', {
      kind,
      apiVersion: apiVersionOf({ group, version }),
      metadata: { resourceVersion: String(store.log.revision), creationTimestamp: null },
    });
  }

  function tell(change: Change): void {
    if (typeKey(change.type) !== key) return;
    const event = selectedChange(change, selector);
    if (event !== undefined) write(EVENT_TYPES[event.type], toWire(store.viewAs(gvk, event.object)));
  }

  response.writeHead(200, { 'content-type': 'application/json' });
  if (initial !== undefined) {
    for (const object of initial) write('ADDED', toWire(object));
  } else {
    const missed = /^\d+$/.test(request.resourceVersion) ? store.log.since(Number(request.resourceVersion)) : undefined;
    if (missed === undefined) {
      const text = `too old resource version: ${request.resourceVersion} (${store.log.revision})`;
      write('ERROR', statusOf(new ResourceError('ERR_UNAVAILABLE', text, { status: 410, reason: 'Expired' })));
      response.end();
      return;
    }
    for (const change of missed) tell(change);
  }
  response.flushHeaders();

  const unsubscribe = store.subscribe(tell);
  const bookmarks = request.wantsBookmarks ? setInterval(bookmark, limits.bookmarkMs) : undefined;
  const timeout = setTimeout(() => {
    if (request.wantsBookmarks) bookmark();
    response.end();
  }, request.timeoutMs);
  response.on('close', () => {
    unsubscribe();
    clearInterval(bookmarks);
    clearTimeout(timeout);
  });
}
