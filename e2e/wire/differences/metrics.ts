// SPDX-License-Identifier: Apache-2.0
/* Families and label names on `/metrics` that differ from the reference's. */

export interface SideDifferences {
  /** Family → why it is not there. */
  readonly missing: Readonly<Record<string, string>>;
  /** Family → what it is for. */
  readonly added: Readonly<Record<string, string>>;
  readonly differing: Readonly<Record<string, { readonly because: string; readonly how: LabelDifference }>>;
}

/** What ours has another way. Label names of a series are sorted and joined by spaces. */
export interface LabelDifference {
  readonly type?: string;
  readonly missing?: readonly string[];
  readonly added?: readonly string[];
}

const ONE_CHANNEL = 'the control stub is one address for destination and policy: one channel, counted as the former';
const RUNTIME = 'counts a runtime that ours has not';

const NO_POLICY_CHANNEL: SideDifferences['missing'] = {
  control_policy_balancer_endpoints: ONE_CHANNEL,
  control_policy_balancer_p2c_endpoints: ONE_CHANNEL,
  control_policy_balancer_p2c_updates: ONE_CHANNEL,
  control_policy_balancer_queue_gate_open: ONE_CHANNEL,
  control_policy_balancer_queue_gate_open_time_seconds: ONE_CHANNEL,
  control_policy_balancer_queue_gate_shut: ONE_CHANNEL,
  control_policy_balancer_queue_gate_shut_time_seconds: ONE_CHANNEL,
  control_policy_balancer_queue_gate_timeout_seconds: ONE_CHANNEL,
  control_policy_balancer_queue_latency_seconds: ONE_CHANNEL,
  control_policy_balancer_queue_length: ONE_CHANNEL,
  control_policy_balancer_queue_requests: ONE_CHANNEL,
};

const NO_TOKIO: SideDifferences['missing'] = {
  tokio_rt_budget_forced_yield: RUNTIME,
  tokio_rt_busy_seconds: RUNTIME,
  tokio_rt_injection_queue_depth: RUNTIME,
  tokio_rt_io_driver_ready: RUNTIME,
  tokio_rt_local_queue_depth: RUNTIME,
  tokio_rt_local_schedule: RUNTIME,
  tokio_rt_noop: RUNTIME,
  tokio_rt_overflow: RUNTIME,
  tokio_rt_park: RUNTIME,
  tokio_rt_polls: RUNTIME,
  tokio_rt_remote_schedule: RUNTIME,
  tokio_rt_steal: RUNTIME,
  tokio_rt_steal_operations: RUNTIME,
  tokio_rt_workers: RUNTIME,
};

const ADDED: SideDifferences['added'] = {
  weft_inbound_requests_in_flight: 'the limit on requests in flight',
  weft_memory_limit_bytes: 'the memory budget',
  weft_memory_private_bytes: 'the memory budget',
  weft_memory_shed: 'what was refused because memory was short',
  weft_net_handshakes_in_flight: 'the limit on concurrent handshakes',
  weft_net_handshakes_queued: 'the limit on concurrent handshakes',
  weft_net_open_streams: 'open byte streams',
  weft_net_pool_borrowed_bytes: 'pooled buffers',
  weft_net_pool_retained_bytes: 'pooled buffers',
  weft_opentelemetry_spans_dropped_total: 'spans that the collector did not take in time',
  weft_outbound_requests_in_flight: 'the limit on requests in flight',
  weft_trust_anchors: 'trust anchors that change at run time',
};

const STUB_WITHOUT_TLS: SideDifferences['differing'] = {
  control_request_total: {
    because: 'the control stub is on loopback, where there is no TLS',
    how: { added: ['addr no_tls_reason tls'], missing: ['addr server_id tls'] },
  },
  control_response_latency_ms: {
    because: 'the control stub is on loopback, where there is no TLS',
    how: { added: ['addr no_tls_reason status_code tls'], missing: ['addr server_id status_code tls'] },
  },
  control_response_total: {
    because: 'the control stub is on loopback, where there is no TLS',
    how: {
      added: ['addr classification error grpc_status no_tls_reason status_code tls'],
      missing: ['addr classification error grpc_status server_id status_code tls'],
    },
  },
};

export const METRIC_DIFFERENCES: Readonly<Record<'inbound-side' | 'outbound-side', SideDifferences>> = {
  'inbound-side': {
    missing: {
      ...NO_POLICY_CHANNEL,
      ...NO_TOKIO,
    },
    added: ADDED,
    differing: {
      ...STUB_WITHOUT_TLS,
      inbound_http_statuses: {
        because: 'the mix has requests without an answer, which that of the reference had not',
        how: { added: ['error parent_group parent_kind parent_name parent_port route_group route_kind route_name status'] },
      },
      response_latency_ms: {
        because: 'latency is that of answers: a request without one has none',
        how: {
          missing: [
            'authz_group authz_kind authz_name client_id direction route_group route_kind route_name srv_group srv_kind srv_name srv_port target_addr target_ip target_port tls',
            'authz_group authz_kind authz_name direction no_tls_reason route_group route_kind route_name srv_group srv_kind srv_name srv_port target_addr target_ip target_port tls',
          ],
        },
      },
    },
  },
  'outbound-side': {
    missing: {
      ...NO_POLICY_CHANNEL,
      outbound_http_route_retry_limit_exceeded: 'retries are not built yet',
      outbound_http_route_retry_overflow: 'retries are not built yet',
      outbound_http_route_retry_requests: 'retries are not built yet',
      outbound_http_route_retry_successes: 'retries are not built yet',
      ...NO_TOKIO,
    },
    added: ADDED,
    differing: {
      ...STUB_WITHOUT_TLS,
      response_latency_ms: {
        because: 'latency is that of answers: a request without one has none',
        how: {
          missing: [
            'authority direction dst_control_plane_ns dst_namespace dst_pod dst_service dst_serviceaccount dst_zone dst_zone_locality server_id target_addr target_ip target_port tls',
          ],
        },
      },
      tcp_close_total: {
        because: 'the mix closes connections to unmeshed pods',
        how: {
          added: [
            'authority direction dst_namespace dst_pod dst_service dst_serviceaccount dst_zone dst_zone_locality errno no_tls_reason peer target_addr target_ip target_port tls',
            'direction dst_namespace dst_pod dst_serviceaccount dst_zone errno no_tls_reason peer target_addr target_ip target_port tls',
          ],
        },
      },
    },
  },
};
