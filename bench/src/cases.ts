// SPDX-License-Identifier: Apache-2.0
/* What is measured: who stands between client and application, and which traffic crosses it. */

/** `direct` is the application without any proxy, for orientation. */
export type Subject = 'direct' | 'weft' | 'envoy';

export const PROXIED: readonly ('weft' | 'envoy')[] = ['weft', 'envoy'];

export interface BenchCase {
  readonly id: string;
  readonly title: string;
  readonly protocol: 'http1' | 'http2' | 'grpc';
  /** Connections of the client. */
  readonly connections: number;
  /** Requests in flight on each connection at most; 1 for HTTP/1.1. */
  readonly streams: number;
  /** Requests per second, open loop; absent: as fast as answers come. */
  readonly rate?: number;
}

export const CASES: readonly BenchCase[] = [
  { id: 'http1-c1', title: 'HTTP/1.1, 1 connection', protocol: 'http1', connections: 1, streams: 1 },
  { id: 'http1-c32', title: 'HTTP/1.1, 32 connections', protocol: 'http1', connections: 32, streams: 1 },
  { id: 'http1-c256', title: 'HTTP/1.1, 256 connections', protocol: 'http1', connections: 256, streams: 1 },
  { id: 'http1-r300', title: 'HTTP/1.1, 300 requests/s', protocol: 'http1', connections: 16, streams: 1, rate: 300 },
  { id: 'http1-r1200', title: 'HTTP/1.1, 1,200 requests/s', protocol: 'http1', connections: 16, streams: 1, rate: 1200 },
  { id: 'http1-r5000', title: 'HTTP/1.1, 5,000 requests/s', protocol: 'http1', connections: 16, streams: 1, rate: 5000 },
  { id: 'http2-c4', title: 'HTTP/2, 4 connections × 8 streams', protocol: 'http2', connections: 4, streams: 8 },
  { id: 'http2-r1200', title: 'HTTP/2, 1,200 requests/s', protocol: 'http2', connections: 4, streams: 8, rate: 1200 },
  { id: 'grpc-c4', title: 'gRPC, 4 connections × 8 streams', protocol: 'grpc', connections: 4, streams: 8 },
  { id: 'grpc-r1200', title: 'gRPC, 1,200 requests/s', protocol: 'grpc', connections: 4, streams: 8, rate: 1200 },
];

/** Ports of the application, by protocol; the direct ones are not redirected to any proxy. */
export const APP_PORTS: Readonly<Record<BenchCase['protocol'], { readonly meshed: number; readonly direct: number }>> = {
  http1: { meshed: 8080, direct: 18080 },
  http2: { meshed: 8081, direct: 18081 },
  grpc: { meshed: 8082, direct: 18082 },
};

/** What one run of a load generator says. */
export interface LoadResult {
  /** Requests answered as they should be. */
  readonly requests: number;
  readonly errors: number;
  readonly ratePerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}
