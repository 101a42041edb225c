// SPDX-License-Identifier: Apache-2.0
/*
 * How a rule spreads over its backends (control-contract §3.3). The messages of the four protocols have the same shape here, so one generic
 * type serves them; `B` is the protocol's RouteBackend message.
 */
import { type RouteBackend, invalidBackend } from './route-backend.ts';

/** Fits the Distribution message of every protocol. */
export interface Distribution<B> {
  kind:
    | { case: 'firstAvailable'; value: { backends: B[] } }
    | { case: 'randomAvailable'; value: { backends: { backend: B; weight: number }[] } };
}

/** One backend, whatever its state. */
export function firstAvailable<B>(backend: B): Distribution<B> {
  return { kind: { case: 'firstAvailable', value: { backends: [backend] } } };
}

/**
 * By weight. A proxy cannot take weights that are all zero (the reference's crashes, proxy-contract §5.5): then no backend may have traffic,
 * so all of it goes to one that fails it, as the Gateway API asks for.
 */
export function byWeight<B>(backends: readonly RouteBackend[], toMessage: (backend: RouteBackend) => B): Distribution<B> {
  const hasTraffic = backends.some(({ weight }) => weight > 0);
  const effective = hasTraffic ? backends : [invalidBackend(1, 'all backends have weight zero')];
  return {
    kind: {
      case: 'randomAvailable',
      value: { backends: effective.map((backend) => ({ backend: toMessage(backend), weight: backend.weight })) },
    },
  };
}
