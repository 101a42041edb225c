// SPDX-License-Identifier: Apache-2.0
/*
 * The cluster as the commands see it: read objects, make raw calls, forward a port to a pod. The implementation with a kubeconfig is
 * connect-cluster.ts; checks and renderers depend only on `ClusterReader`, so that a test answers from memory.
 */
import type { Resource, ResourceKind } from '@weft/resources';

/** Which objects of a kind. */
export interface ListQuery {
  /** All namespaces when undefined. */
  readonly namespace?: string;
  /** As in `kubectl -l`: `a=b,c!=d,e`. */
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

/** One raw call. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute, encoded: `/version`, `/api/v1/namespaces/x/pods/y/log?container=z`. */
  readonly path: string;
  readonly body?: unknown;
  /** Default `application/json`. */
  readonly contentType?: string;
}

/** Reading. Every method rejects with ResourceError: ERR_NOT_FOUND, ERR_FORBIDDEN, ERR_UNAVAILABLE (which also says that nobody answers). */
export interface ClusterReader {
  get<R extends Resource>(kind: ResourceKind<R>, namespace: string, name: string): Promise<R>;
  /** Whole, however many pages. A kind that the cluster does not serve: ERR_NOT_FOUND. */
  list<R extends Resource>(kind: ResourceKind<R>, query?: ListQuery): Promise<readonly R[]>;
  /** A raw call; the answer parsed as JSON. */
  call(call: ApiCall): Promise<unknown>;
}

/** A local port that leads to a pod's. */
export interface PortForward {
  /** 127.0.0.1. */
  readonly host: string;
  readonly port: number;
  /** Stops listening and cuts the connections. */
  close(): void;
}

/** A connected cluster. */
export interface Cluster extends ClusterReader {
  /** `https://host:port` of the API server. */
  readonly serverUrl: string;
  /** Namespace of the context; `default` unless it says. */
  readonly defaultNamespace: string;
  /** A raw call; the answer as text (logs, metrics). */
  callText(call: ApiCall): Promise<string>;
  /** Listens on a free loopback port; each connection to it is one to `port` of the pod. Rejects with CommandFailure when it cannot listen. */
  portForward(namespace: string, pod: string, port: number): Promise<PortForward>;
  /** Ends forwards and idle connections. */
  close(): void;
}
