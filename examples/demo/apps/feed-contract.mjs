// SPDX-License-Identifier: Apache-2.0
// The feed's gRPC contract, without generated code: JSON in the messages, which gRPC allows.
const encode = (value) => Buffer.from(JSON.stringify(value));
const decode = (bytes) => JSON.parse(bytes.toString());
const method = (path, responseStream) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: encode,
  requestDeserialize: decode,
  responseSerialize: encode,
  responseDeserialize: decode,
});

export const Feed = {
  latest: method('/demo.Feed/Latest', false),
  follow: method('/demo.Feed/Follow', true),
};
