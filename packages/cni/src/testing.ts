// SPDX-License-Identifier: Apache-2.0
/** `@weft/cni/testing`: an API server over HTTPS with tokens, and a container runtime's side of CNI. */
export { NETWORK_SHAPES, type NetworkShape } from './testing/network-shapes.ts';
export { serveHttpsApi, type HttpsApi } from './testing/https-api.ts';
export { runNetworkList, type CniRun, type CniRunResult, type SandboxRequest } from './testing/container-runtime.ts';
