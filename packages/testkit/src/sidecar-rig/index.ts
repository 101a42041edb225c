// SPDX-License-Identifier: Apache-2.0
export { NamespaceWorker } from './namespace-worker.ts';
export { CLIENT_IP, PEER_IP, type RigAddresses, SERVER_IP, SERVICE_IP, type Side } from './namespaces.ts';
export { type Finished, runToEnd, until } from './processes.ts';
export { type MeshedSide, RIG_NAMESPACE, rigProblem, type SideControl, SidecarRig, type SidecarRigOptions } from './sidecar-rig.ts';
