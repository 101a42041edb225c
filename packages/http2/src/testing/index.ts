// SPDX-License-Identifier: Apache-2.0
export { CONNECTION_ERRORS, MALFORMED_REQUESTS, ODD_REQUESTS, STREAM_ERRORS } from './bad-inputs.ts';
export {
  blockFrame,
  continuationFrame,
  dataFrame,
  encodeWith,
  fieldBlock,
  frame,
  type FrameRecord,
  goawayFrame,
  headersFrame,
  literal,
  type MessageFrameOptions,
  parseFrames,
  pingFrame,
  priorityFrame,
  rstStreamFrame,
  settingsAckFrame,
  settingsFrame,
  windowUpdateFrame,
} from './frames.ts';
export { printFields, RecordingStreamSink, ScriptedPeer } from './scripted-peer.ts';
