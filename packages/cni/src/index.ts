// SPDX-License-Identifier: Apache-2.0
export { CNI_CODES, CniError } from './plugin/cni-error.ts';
export { CNI_VERSIONS, POD_ANNOTATIONS_CAPABILITY } from './plugin/network-config.ts';
export { runPlugin, type PluginOutcome, type PluginRun, UNMESHED_PATIENCE_MS } from './plugin/plugin.ts';
export { LOOKUP_LIMITS, type LookupLimits, type LookupWorld, openKubeconfig } from './plugin/pod-lookup.ts';
export { addEntry, type FileEdit, type PluginEntry, removeEntry } from './installer/conflist.ts';
export { type EnsureOutcome, Installer } from './installer/installer.ts';
export { daemonSetStays, type InstallerRun, runInstaller } from './installer/run-installer.ts';
export { makePortable, type Library, ownLibraries, type PortableExecutable } from './installer/portable-executable.ts';
export { type InstallerSettings, readSettings } from './installer/settings.ts';
export { REPAIR_LIMITS, RepairController, type RepairLimits, type RepairMetrics, type RepairOptions } from './repair/repair-controller.ts';
export { needsNewSandbox, NOT_REDIRECTED_EXIT_CODE } from './repair/pod-judgement.ts';
