// SPDX-License-Identifier: Apache-2.0
export { Proxy, type ProxyOptions } from './proxy.ts';
export { type ConfigRefusal, type ParsedConfig, configure, parseConfig, refusalOf } from './config/parse-config.ts';
export { ConfigError, type Environment } from './config/values.ts';
export type { ProxyConfig } from './config/types.ts';
