// SPDX-License-Identifier: Apache-2.0
export { ControlStub, type ControlStubConfig, type GivenAnswers, type StubEndpoint, type StubTarget } from './control-stub.ts';
