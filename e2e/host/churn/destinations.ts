// SPDX-License-Identifier: Apache-2.0
/* The client's destination service, told of each change as it comes. Runs beside the rig's own control stub, which knows the policies. */
import { ControlStub, type ControlStubConfig, type StubEndpoint } from '@weft/testkit/control-stub';

let stub: ControlStub | undefined;

export async function serve(config: ControlStubConfig): Promise<void> {
  stub = new ControlStub(config);
  await stub.start();
}

/** Endpoints at these paths come and go, in this order. */
export function tell(
  gone: readonly (readonly [path: string, endpoint: StubEndpoint])[],
  come: readonly (readonly [path: string, endpoint: StubEndpoint])[],
): void {
  for (const [path, endpoint] of gone) stub?.removeEndpoints(path, [endpoint]);
  for (const [path, endpoint] of come) stub?.addEndpoints(path, [endpoint]);
}

/** All streams end, as with a control plane that goes. */
export function endStreams(): void {
  stub?.endResolutions();
}
