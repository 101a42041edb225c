// SPDX-License-Identifier: Apache-2.0
/*
 * Every contract, one namespace per .proto file (proxy-contract §3.6, §5.7; design §2 for `trustBundle`). Convenient for control-plane code and
 * tests; the proxy imports the sub-paths (`@weft/proto/destination`, ...) so that it pays only for what it speaks.
 */
export * as destination from './gen/io/linkerd/proxy/destination/destination_pb.ts';
export * as grpcRoute from './gen/io/linkerd/proxy/grpc_route/grpc_route_pb.ts';
export * as httpRoute from './gen/io/linkerd/proxy/http_route/http_route_pb.ts';
export * as httpTypes from './gen/io/linkerd/proxy/http_types/http_types_pb.ts';
export * as identity from './gen/io/linkerd/proxy/identity/identity_pb.ts';
export * as inbound from './gen/io/linkerd/proxy/inbound/inbound_pb.ts';
export * as meta from './gen/io/linkerd/proxy/meta/meta_pb.ts';
export * as net from './gen/io/linkerd/proxy/net/net_pb.ts';
export * as opaqueRoute from './gen/io/linkerd/proxy/opaque_route/opaque_route_pb.ts';
export * as otlpCollector from './gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.ts';
export * as otlpCommon from './gen/opentelemetry/proto/common/v1/common_pb.ts';
export * as otlpResource from './gen/opentelemetry/proto/resource/v1/resource_pb.ts';
export * as otlpTrace from './gen/opentelemetry/proto/trace/v1/trace_pb.ts';
export * as outbound from './gen/io/linkerd/proxy/outbound/outbound_pb.ts';
export * as tap from './gen/io/linkerd/proxy/tap/tap_pb.ts';
export * as tlsRoute from './gen/io/linkerd/proxy/tls_route/tls_route_pb.ts';
export * as transport from './gen/transport/l5d/io/header_pb.ts';
export * as trustBundle from './gen/weft/identity/v1/trust_bundle_pb.ts';
export * as wkt from './wkt.ts';
