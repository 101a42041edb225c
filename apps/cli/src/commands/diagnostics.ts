// SPDX-License-Identifier: Apache-2.0
/* `weft diagnostics`, alias `dg` (features CLI-30 to CLI-34): what the control plane's and the proxies' processes themselves say. */
import type { Command } from 'commander';
import type { CommandContext } from '../command-context.ts';
import { defineControllerMetrics } from './diagnostics/controller-metrics.ts';
import { defineEndpoints } from './diagnostics/endpoints.ts';
import { definePolicy } from './diagnostics/policy.ts';
import { defineProfile } from './diagnostics/profile.ts';
import { defineProxyMetrics } from './diagnostics/proxy-metrics.ts';

/** The sub-commands. */
export function define(command: Command, context: CommandContext): void {
  defineControllerMetrics(command.command('controller-metrics').description("print the metrics of the control plane's processes"), context);
  defineEndpoints(command.command('endpoints').description('ask the destination service for the endpoints of services'), context);
  definePolicy(command.command('policy').description('ask the policy service what holds for a port of a pod or a Service'), context);
  defineProfile(command.command('profile').description('ask the destination service for the profile of an address'), context);
  defineProxyMetrics(command.command('proxy-metrics').description('print the metrics of proxies'), context);
}
