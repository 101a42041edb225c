// SPDX-License-Identifier: Apache-2.0
/*
 * The requests of one inbound connection (proxy-contract §6.11): route, authorization, rate limit, filters, then the application. The policy is that
 * of the moment of each request. What a connection's requests have in common is found out once and kept.
 */
import type { Authorization } from '@weft/routing';
import type { Admission } from '../admission.ts';
import type { ProxyError } from '../http/proxy-error.ts';
import type { ProxyRequestHead } from '../http/request-head.ts';
import { HTTP_2, type HttpHandler, type RequestHead, type RequestSink, type ServerStream } from '../http/types.ts';
import type { AllowedSeries, InboundMetrics } from '../metrics/inbound-metrics.ts';
import type { SocketAddress } from '@weft/net';
import type { ExchangeWatch } from '../observe/exchange-watch.ts';
import { InboundFacts } from '../observe/facts.ts';
import type { Observation } from '../observe/observation.ts';
import type { HttpBackend } from '../outbound/http-backend.ts';
import { requestFilters } from '../outbound/route-filters.ts';
import type { Clock } from '../runtime.ts';
import { type InboundClient, clientIdentity } from './client.ts';
import { InboundExchange, type InboundExchangeDeps, withClientIdentity } from './inbound-exchange.ts';
import { type CompiledInboundPolicy, type InboundRuleBinding, authorizeRequest } from './inbound-policy.ts';
import { type PolicyLog, isAudit } from './policy-log.ts';

/** What a connection asks of its port. */
export interface InboundPort {
  readonly origDst: SocketAddress;
  /** Policy in force. */
  readonly compiled: CompiledInboundPolicy;
  /** `srv_*` labels of it. */
  readonly serverLabels: Readonly<Record<string, string>>;
  app(isH2: boolean): HttpBackend;
}

/** Where admitted requests go instead of the pod's application. */
export interface RequestDelivery {
  /** `refuse` answers the request with an error of the proxy's own. */
  deliver(head: ProxyRequestHead, server: ServerStream, end: boolean, refuse: (error: ProxyError) => RequestSink): RequestSink;
}

export interface InboundHandlerDeps {
  readonly clock: Clock;
  readonly metrics: InboundMetrics;
  readonly admission: Admission;
  readonly policyLog: PolicyLog;
  /** Taps and traces, where there may be any. */
  readonly observe?: Observation | undefined;
}

export class InboundHandler implements HttpHandler {
  private readonly port: InboundPort;
  private readonly deps: InboundHandlerDeps;
  private readonly client: InboundClient;
  private readonly identity: string | undefined;
  private readonly exchangeDeps: InboundExchangeDeps;
  private readonly onClose: () => void;
  private readonly delivery: RequestDelivery | undefined;
  /** Result for the rule that the last request matched; most connections ask for one thing. */
  private knownBinding: InboundRuleBinding | undefined = undefined;
  private knownAuthorization: Authorization | undefined = undefined;
  private knownAuthority: string | undefined = undefined;
  private knownSeries: AllowedSeries | undefined = undefined;

  constructor(
    port: InboundPort,
    deps: InboundHandlerDeps,
    client: InboundClient,
    exchangeDeps: InboundExchangeDeps,
    delivery: RequestDelivery | undefined,
    onClose: () => void,
  ) {
    this.port = port;
    this.deps = deps;
    this.client = client;
    this.identity = clientIdentity(client);
    this.exchangeDeps = exchangeDeps;
    this.onClose = onClose;
    this.delivery = delivery;
  }

  onRequest(received: RequestHead, server: ServerStream, end: boolean): RequestSink {
    const head = received as ProxyRequestHead;
    const { port, deps, client } = this;
    const { compiled } = port;
    const { metrics } = deps;
    const found = compiled.match(head);
    if (found === undefined) {
      metrics.routeNotFound(port.origDst, port.serverLabels, client);
      const exchange = this.refusal(head, server, end);
      exchange.rescue({ kind: 'route-not-found', message: exchange.denial('no route found for request') });
      return exchange;
    }
    const { binding } = found;
    const allowed = this.authorize(binding, head);
    if (allowed === undefined) {
      metrics.deniedRequest(port.origDst, port.serverLabels, client, binding.meta);
      deps.policyLog.requestDenied(compiled.policy.meta, binding.meta, client);
      const exchange = this.refusal(head, server, end);
      exchange.rescue({ kind: 'unauthorized', message: exchange.denial('unauthorized request on route') });
      return exchange;
    }
    allowed.allow.value += 1;
    const { rateLimiter } = compiled;
    if (rateLimiter !== undefined) {
      const exceeded = rateLimiter.check(this.identity, deps.clock.now());
      if (exceeded !== undefined) {
        metrics.rateLimited(port.origDst, port.serverLabels, client, compiled.policy.rateLimit?.meta, exceeded.scope);
        const exchange = this.refusal(head, server, end);
        exchange.rescue({ kind: 'rate-limited', message: exchange.denial(exceeded.message) });
        return exchange;
      }
    }
    let request = head;
    if (binding.filters.length > 0) {
      const filtered = requestFilters(binding.filters, head, found.pathLength, deps.clock.random);
      if ('error' in filtered) {
        const exchange = this.refusal(head, server, end);
        // An HTTP failure injected inbound shows as an unexpected error, as users of the reference know it (§4.5).
        exchange.rescue(
          filtered.error.kind === 'injected' && filtered.error.grpcStatus === undefined
            ? { kind: 'unexpected', message: 'unexpected error' }
            : filtered.error,
        );
        return exchange;
      }
      request = filtered.head;
    }
    if (this.delivery !== undefined) {
      return this.delivery.deliver(request, server, end, (error) => {
        const exchange = this.refusal(head, server, end);
        exchange.rescue({ ...error, message: exchange.denial(error.message) });
        return exchange;
      });
    }
    const fields = withClientIdentity(request.fields, this.identity);
    if (fields !== request.fields) request = request.with({ fields });
    binding.series ??= metrics.routeSeries(compiled.policy, port.origDst.port, binding.meta);
    const exchange = new InboundExchange(request, server, end, this.exchangeDeps, client, allowed.endpoint, binding.series);
    exchange.received = head;
    if (deps.observe !== undefined && deps.observe.isOn) exchange.watch = this.observed(deps.observe, head, binding);
    if (exchange.admit(deps.admission)) exchange.send(port.app(request.version === HTTP_2));
    return exchange;
  }

  onPeerErrors(kind: string, count: number): void {
    this.deps.metrics.peerErrors(kind, count);
  }

  onConnectionClose(): void {
    this.onClose();
  }

  /** The counters of an authorized request; undefined = denied. */
  private authorize(binding: InboundRuleBinding, head: ProxyRequestHead): AllowedSeries | undefined {
    const { port, deps, client } = this;
    const { metrics } = deps;
    const authority = metrics.hasAuthorityLabels ? head.authority : undefined;
    if (binding !== this.knownBinding || authority !== this.knownAuthority) {
      const authorization = authorizeRequest(binding, client);
      this.knownBinding = binding;
      this.knownAuthority = authority;
      this.knownAuthorization = authorization;
      this.knownSeries =
        authorization === undefined
          ? undefined
          : metrics.allowedRequest(port.origDst, port.serverLabels, client, binding.meta, authorization.meta, authority);
    }
    const { knownAuthorization } = this;
    if (knownAuthorization !== undefined && isAudit(knownAuthorization.meta)) {
      deps.policyLog.requestAudited(port.compiled.policy.meta, binding.meta, knownAuthorization.meta, client);
    }
    return this.knownSeries;
  }

  private observed(observe: Observation, head: ProxyRequestHead, binding: InboundRuleBinding): ExchangeWatch | undefined {
    const { port } = this;
    const authorization = this.knownAuthorization?.meta;
    return observe.inbound(new InboundFacts(head, this.client, this.exchangeDeps.target, port.serverLabels, binding.meta, authorization));
  }

  private refusal(head: ProxyRequestHead, server: ServerStream, end: boolean): InboundExchange {
    const exchange = new InboundExchange(head, server, end, this.exchangeDeps, this.client, undefined, undefined);
    exchange.watch = this.deps.observe?.refused(head, 'inbound', this.exchangeDeps.target);
    return exchange;
  }
}
