// SPDX-License-Identifier: Apache-2.0
export { type DefaultPolicy, parseDefaultPolicy } from './inbound/default-policy.ts';
export type { InboundHandlers } from './inbound/inbound-service.ts';
export type { OutboundHandlers } from './outbound/outbound-service.ts';
export { type PolicyController, type PolicyControllerParts, createPolicyController } from './policy-controller.ts';
export type { StatusController } from './status/status-controller.ts';
export { DEFAULT_OPTIONS, type PolicyClock, type PolicyControllerOptions, type PolicyLog, SYSTEM_CLOCK } from './types.ts';
