// SPDX-License-Identifier: Apache-2.0
export { ControlStub, type ControlStubConfig, type StubEndpoint, type StubTarget } from './control-stub/index.ts';
