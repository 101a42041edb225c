// SPDX-License-Identifier: Apache-2.0
/*
 * What is needed to show the traffic of proxies from their metrics, without the machinery of a run: `@weft/host-run/view`, for commands that
 * look at a cluster.
 */
export { parseSamples, type Sample } from './view/prometheus-text.ts';
export { formatTable } from './view/summary.ts';
export { TrafficStats } from './view/traffic-stats.ts';
