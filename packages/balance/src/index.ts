// SPDX-License-Identifier: Apache-2.0
export { PeakEwma } from './peak-ewma.ts';
export { type BalancedEndpoint, P2cBalancer } from './p2c-balancer.ts';
export { pickWeighted } from './pick-weighted.ts';
