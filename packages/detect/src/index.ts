// SPDX-License-Identifier: Apache-2.0
export { HTTP_DETECTION_MAX_BYTES, HTTP_DETECTION_MIN_BYTES, type HttpDetection, detectHttp } from './http-detection.ts';
export { CLIENT_HELLO_MAX_BYTES, type ClientHello, type NotTlsReason, parseClientHello } from './client-hello.ts';
export {
  type SessionProtocol,
  TRANSPORT_ALPN,
  TRANSPORT_HEADER_MAX_BYTES,
  type TransportHeader,
  TransportHeaderDecoder,
  type TransportHeaderError,
  type TransportHeaderResult,
  encodeTransportHeader,
} from './transport-header.ts';
export { parseDnsName } from './dns-name.ts';
