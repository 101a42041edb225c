// SPDX-License-Identifier: Apache-2.0
/** `@weft/host-run`: a whole mesh from a directory of manifests on one Linux machine, without a cluster. */
export { HostRunError, type HostRunErrorCode } from './errors.ts';
export {
  DEFAULT_SERVICE_NETWORK,
  HostRun,
  type HostRunListener,
  type HostRunOptions,
  isControlPlanePod,
  type MeshProgram,
} from './host-run.ts';
export { checkMachine, installCommand, type Machine, missingPackages, thisMachine } from './system/preflight.ts';
export { mustRun, type MustRun } from './system/commands.ts';
export { removeDeadRuns, type Removed, removeRun } from './state/leftovers.ts';
export { isRunning, readOwner, type RunOwner } from './state/run-owner.ts';
export { RUN_BASES, type RunBases, runNameFor, type RunPaths, runPaths } from './state/run-paths.ts';
export { manifestCommands } from './system/manifest-commands.ts';
export { type MonitoredPod, readMetrics, TrafficMonitor, type TrafficTables } from './view/traffic-monitor.ts';
export { formatSummary, formatTable, summarise, type TcpRow, type TrafficRow, type TrafficSummary } from './view/summary.ts';
