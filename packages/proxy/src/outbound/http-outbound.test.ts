// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { REFUSED, TIMED_OUT } from '../testing/fake-transport.ts';
import type { H2PeerStream } from '../testing/h2-peer.ts';
import { OutboundWorld, type OutboundWorldOptions } from '../testing/outbound-world.ts';
import { balanceBackend, endpointOf, forwardBackend, outboundPolicyOf, targetOf } from '../testing/policies.ts';
import type { EndpointAddress, OutboundPolicy } from '@weft/routing';

const H2_HINT = { protocolHint: 'h2' } as const;
const BACKEND = balanceBackend('svc.test:80');
const CONTEXT = 'logical service 10.96.0.1:80: route default.http:';
const IN_BACKEND = `${CONTEXT} backend Service.ns.svc:80: Service.ns.svc:80:`;

/** A world with one service of these endpoints. */
function serviceOf(
  endpoints: readonly EndpointAddress[],
  options: OutboundWorldOptions = {},
  protocol: OutboundPolicy['protocol'] = 'detect',
): OutboundWorld {
  const world = new OutboundWorld(options);
  world.discovery.target('10.96.0.1:80').set(targetOf(outboundPolicyOf(protocol, [{ backends: [BACKEND] }])));
  world.discovery.setEndpoints('svc.test:80', endpoints);
  return world;
}

/** Answers every HTTP/2 request with the port of the endpoint. */
function answering(world: OutboundWorld): OutboundWorld {
  world.onRequest = (stream, _peer, { address }) => stream.respond(200, ['l5d-orig-proto', 'HTTP/1.1'], String(address.port));
  return world;
}

/** Status line of an HTTP/1 answer and its `l5d-proxy-error`. */
function outcome(text: string): { status: number; error: string | undefined; isClosing: boolean } {
  return {
    status: Number(text.slice(9, 12)),
    error: /\r\nl5d-proxy-error: ([^\r]*)\r\n/.exec(text)?.[1],
    isClosing: text.includes('\r\nconnection: close\r\n'),
  };
}

describe('outbound HTTP', () => {
  describe('[PROTO-09] to a meshed endpoint', () => {
    it('carries many HTTP/1 requests over one HTTP/2 connection', () => {
      const world = answering(serviceOf([endpointOf(8080, H2_HINT)]));
      const clients = Array.from({ length: 10 }, (_, i) => world.get(`/${i}`, 'x-a: b\r\nconnection: x-hop\r\nx-hop: 1\r\n'));
      world.loop.run();
      for (const client of clients)
        expect(client.take()).toMatch(/^HTTP\/1\.1 200 OK\r\ndate: [^\r]*\r\ntransfer-encoding: chunked\r\n\r\n4\r\n8080\r\n0\r\n\r\n$/);
      expect(world.network.accepted).toHaveLength(1);
      expect(world.h2[0]?.streams.map((stream) => stream.fields)).toEqual(
        clients.map((_, i) => [
          ...[':method', 'GET', ':scheme', 'http', ':authority', 'svc.test', ':path', `/${i}`],
          ...['host', 'svc.test', 'x-a', 'b', 'l5d-orig-proto', 'HTTP/1.1'],
        ]),
      );
    });

    it('gives HTTP/1.0 without Host the original destination as authority', () => {
      const world = answering(serviceOf([endpointOf(8080, H2_HINT)]));
      const client = world.raw();
      client.send('GET /old HTTP/1.0\r\n\r\n');
      world.loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.0 200 OK\r\n/);
      expect(world.h2[0]?.streams[0]?.fields).toEqual([
        ...[':method', 'GET', ':scheme', 'http', ':authority', '10.96.0.1:80', ':path', '/old', 'l5d-orig-proto', 'HTTP/1.0'],
      ]);
    });

    it('takes an upgrade to a connection of its own', () => {
      const world = answering(serviceOf([endpointOf(8080, H2_HINT)]));
      const client = world.raw();
      client.send('GET /ws HTTP/1.1\r\nhost: svc\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      world.loop.run();
      expect(world.network.accepted.map((entry) => entry.session)).toEqual(['http2', 'http1']);
      expect(world.h1[0]?.take()).toBe('GET /ws HTTP/1.1\r\nhost: svc\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      world.h1[0]?.send('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nraw');
      world.loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.1 101 .*\r\n\r\nraw$/s);
      client.send('frames');
      client.end();
      world.loop.run();
      expect([world.h1[0]?.take(), world.h1[0]?.isReadEnded]).toEqual(['frames', true]);
      expect(client.isClosed).toBe(false);
      world.h1[0]?.end();
      world.loop.run();
      expect(client.isClosed).toBe(true);
    });

    it('passes chunked bodies and trailers both ways', () => {
      const world = serviceOf([endpointOf(8080, H2_HINT)]);
      world.onRequest = (stream) => stream.respond(200, [], 'out', ['t-out', '2']);
      const client = world.raw();
      client.send('POST / HTTP/1.1\r\nhost: svc\r\ntransfer-encoding: chunked\r\n\r\n2\r\nin\r\n0\r\nt-in: 1\r\n\r\n');
      world.loop.run();
      expect(client.take()).toContain('\r\n\r\n3\r\nout\r\n0\r\nt-out: 2\r\n\r\n');
      const [stream] = world.h2[0]?.streams ?? [];
      expect([stream?.body, stream?.trailers]).toEqual(['in', ['t-in', '1']]);
    });

    it('shows a reset as an error of HTTP/1, never as a reset', () => {
      const world = serviceOf([endpointOf(8080, H2_HINT)]);
      world.onRequest = (stream) => stream.handle?.reset(2);
      expect(outcome(world.get().take())).toEqual({
        status: 502,
        error: 'endpoint 10.9.9.9:8080: upgraded connection failed with HTTP/2 reset: unexpected internal error encountered',
        isClosing: true,
      });
    });

    it('removes what the far proxy says to us', () => {
      const world = serviceOf([endpointOf(8080, H2_HINT)]);
      world.onRequest = (stream) =>
        stream.respond(403, ['content-length', '0', 'l5d-proxy-error', 'no', 'l5d-proxy-connection', 'close', 'x', 'y']);
      expect(world.get().take()).toMatch(/^HTTP\/1\.1 403 Forbidden\r\ncontent-length: 0\r\nx: y\r\ndate: [^\r]*\r\n\r\n$/);
    });

    describe('whose proxy cannot reach its application', () => {
      const MESHED = { ...H2_HINT, tls: { identity: 'a.ns.identity', serverName: 'a.ns.identity' } } as const;
      const UNREACHED = ['content-length', '0', 'l5d-proxy-error', 'client error (Connect)', 'l5d-proxy-connection', 'close'];
      /** Asks `count` times in turn; 8001 never reaches its application. Answers: the statuses, and how often 8001 was asked. */
      const ask = (endpoints: readonly EndpointAddress[], count: number): { statuses: number[]; asked: number } => {
        const world = serviceOf(endpoints);
        let asked = 0;
        world.onRequest = (stream, _peer, { address }) => {
          if (address.port !== 8001) {
            stream.respond(200, [], 'ok');
            return;
          }
          asked += 1;
          stream.respond(502, UNREACHED);
        };
        world.loop.run();
        const statuses = Array.from({ length: count }, () => outcome(world.get().take()).status);
        return { statuses, asked };
      };

      it('asks another endpoint, and that one first for a while', () => {
        const { statuses, asked } = ask([endpointOf(8001, MESHED), endpointOf(8002, MESHED)], 20);
        expect([new Set(statuses), asked]).toEqual([new Set([200]), 1]);
      });

      it('passes the answer on where there is no other endpoint', () => {
        expect(ask([endpointOf(8001, MESHED)], 2)).toEqual({ statuses: [502, 502], asked: 2 });
      });

      it('does not believe a peer without identity', () => {
        const { statuses, asked } = ask([endpointOf(8001, H2_HINT), endpointOf(8002, H2_HINT)], 20);
        expect(statuses.filter((status) => status === 502)).toHaveLength(asked);
        expect(asked).toBeGreaterThan(0);
      });

      it('does not repeat a request whose body has gone out', () => {
        const world = serviceOf([endpointOf(8001, MESHED), endpointOf(8002, MESHED)]);
        world.onRequest = (stream) => stream.respond(502, UNREACHED);
        world.loop.run();
        const client = world.raw();
        client.send('POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: 2\r\n\r\nin');
        world.loop.run();
        expect([outcome(client.take()).status, world.h2.flatMap((peer) => peer.streams).length]).toEqual([502, 1]);
      });
    });

    it('ends the client connection when a forwarded peer asks for it', () => {
      const world = new OutboundWorld();
      world.discovery
        .target('10.96.0.1:80')
        .set(targetOf(outboundPolicyOf('detect', [{ backends: [forwardBackend(endpointOf(8080, H2_HINT))] }])));
      world.onRequest = (stream) => stream.respond(502, ['content-length', '0', 'l5d-proxy-connection', 'close']);
      expect(world.get().take()).toContain('connection: close\r\n');
    });
  });

  describe('[PROTO-08] of HTTP/2 clients', () => {
    it('keeps fields, trailers and reset codes as they are', () => {
      const world = serviceOf([endpointOf(8081)]);
      world.onRequest = (stream) => {
        if (stream.field(':path') === '/reset') stream.handle?.reset(11);
        else stream.respond(200, ['x', 'y'], 'body', ['grpc-status', '0']);
      };
      const client = world.http2();
      const ok = client.get('/ok', 'te', 'trailers');
      const reset = client.get('/reset');
      world.loop.run();
      expect(ok.fields).toEqual([':status', '200', 'x', 'y', 'date', expect.any(String)]);
      expect([ok.body, ok.trailers]).toEqual(['body', ['grpc-status', '0']]);
      expect(reset.resetCode).toBe(11);
      expect(world.h2[0]?.streams[0]?.fields).toEqual([
        ...[':method', 'GET', ':scheme', 'http', ':authority', 'svc.test', ':path', '/ok'],
        ...['te', 'trailers'],
      ]);
    });

    it("passes the client's reset on", () => {
      const world = serviceOf([endpointOf(8081)]);
      const client = world.http2();
      const stream = client.get('/');
      world.loop.run();
      stream.handle?.reset(8);
      world.loop.run();
      expect(world.h2[0]?.streams[0]?.resetCode).toBe(8);
    });

    it("opens another connection at the peer's limit of streams, up to eight, then waits", () => {
      const world = serviceOf([endpointOf(8081)]);
      world.endpointH2 = { maxConcurrentStreams: 1 };
      const client = world.http2();
      const first = client.get('/0');
      world.loop.run();
      const streams = [first, ...Array.from({ length: 11 }, (_, i) => client.get(`/${i + 1}`))];
      world.loop.run();
      expect(world.network.accepted).toHaveLength(8);
      const pending = (): H2PeerStream[] => world.h2.flatMap((peer) => peer.streams.filter((stream) => !stream.isAnswered));
      for (let round = 0; round < 12 && pending().length > 0; round++) {
        const [next] = pending();
        if (next !== undefined) {
          next.isAnswered = true;
          next.respond(200);
        }
        world.loop.run();
      }
      expect(streams.map((stream) => stream.field(':status'))).toEqual(streams.map(() => '200'));
    });

    it('dispatches a refused stream anew, to another endpoint or connection', () => {
      const world = serviceOf([endpointOf(1), endpointOf(2)]);
      let refusals = 0;
      world.onRequest = (stream) => {
        if (refusals++ === 0) stream.handle?.reset(7);
        else stream.respond(200);
      };
      const client = world.http2();
      const stream = client.get('/');
      world.loop.run();
      expect([stream.field(':status'), refusals]).toEqual(['200', 2]);
    });

    it('gives up on a stream that everybody refuses', () => {
      const world = serviceOf([endpointOf(1)]);
      let refusals = 0;
      world.onRequest = (stream) => {
        refusals += 1;
        stream.handle?.reset(7);
      };
      const stream = world.http2().get('/');
      world.loop.run();
      expect([stream.resetCode, refusals]).toEqual([7, 4]);
    });

    it('does not repeat a request whose body has gone out', () => {
      const world = serviceOf([endpointOf(1)]);
      world.onRequest = (stream) => void world.loop.clock.after(10, () => stream.handle?.reset(7));
      const client = world.http2();
      const stream = client.post('/');
      stream.send('some', false);
      world.loop.advance(50);
      expect([stream.resetCode, world.h2[0]?.streams.length]).toEqual([7, 1]);
    });

    it('loses nothing to GOAWAY: streams beyond it go elsewhere, those before it finish', () => {
      const world = serviceOf([endpointOf(1)]);
      const client = world.http2();
      const first = client.get('/first');
      world.loop.run();
      const [peer] = world.h2;
      peer?.codec.goaway(0);
      // Sent before the proxy can have heard.
      const second = client.get('/second');
      world.loop.run();
      expect(world.h2).toHaveLength(2);
      world.h2[0]?.streams[0]?.respond(200, [], 'old');
      world.h2[1]?.streams[0]?.respond(200, [], 'new');
      world.loop.run();
      expect([first.body, second.body]).toEqual(['old', 'new']);
      expect(world.h2[0]?.isReadEnded).toBe(true);
    });

    it('turns a broken gRPC response into trailers', () => {
      const world = serviceOf([endpointOf(1)]);
      world.onRequest = (stream) => {
        stream.handle?.sendHeaders([':status', '200', 'content-type', 'application/grpc'], false);
        stream.send('half', false);
      };
      const stream = world.http2().get('/', 'content-type', 'application/grpc');
      world.loop.run();
      world.network.accepted[0]?.stream.destroy({ reset: true });
      world.loop.run();
      expect([stream.body, stream.trailers]).toEqual([
        'half',
        ['grpc-status', '14', 'grpc-message', 'endpoint 10.9.9.9:1: connection closed'],
      ]);
    });

    it('shows gRPC clients errors as gRPC', () => {
      const world = serviceOf([]);
      const stream = world.http2().get('/', 'content-type', 'application/grpc+proto');
      world.loop.advance(3000);
      expect(stream.fields).toEqual([
        ...[':status', '200', 'content-length', '0', 'content-type', 'application/grpc', 'grpc-status', '4'],
        ...['grpc-message', `${IN_BACKEND} service in fail-fast`],
        ...['l5d-proxy-error', `${IN_BACKEND} service in fail-fast`, 'l5d-proxy-connection', 'close', 'date', expect.any(String)],
      ]);
    });
  });

  describe('[PROTO-13] answers for failures', () => {
    it('504 when nothing becomes ready within the fail-fast timeout, 503 at once after that', () => {
      const world = serviceOf([]);
      const waiting = world.get();
      expect(waiting.text).toBe('');
      world.loop.advance(2999);
      expect(waiting.text).toBe('');
      world.loop.advance(2);
      expect(outcome(waiting.take())).toEqual({ status: 504, error: `${IN_BACKEND} service in fail-fast`, isClosing: true });
      expect(outcome(world.get().take())).toEqual({ status: 503, error: `${CONTEXT} service unavailable`, isClosing: true });
      expect([
        world.metric('queue_gate_shut_total'),
        world.metric('outbound_http_errors_total', 'failfast'),
        world.metric('outbound_http_errors_total', 'loadshed'),
      ]).toEqual([1, 1, 1]);
    });

    it('no more as soon as an endpoint is there', () => {
      const world = answering(serviceOf([]));
      world.get();
      world.loop.advance(3001);
      world.discovery.setEndpoints('svc.test:80', [endpointOf(8080, H2_HINT)]);
      world.loop.run();
      expect(outcome(world.get().take()).status).toBe(200);
      // Once when it was made, once now.
      expect(world.metric('queue_gate_open_total')).toBe(2);
    });

    it('502 for a refused connect', () => {
      const world = serviceOf([endpointOf(8084)]);
      world.network.refuse('10.9.9.9:8084', REFUSED);
      for (let i = 0; i < 3; i++) {
        expect(outcome(world.get().take())).toEqual({
          status: 502,
          error: 'endpoint 10.9.9.9:8084: client error (Connect)',
          isClosing: true,
        });
      }
    });

    it('504 for a connect that takes too long', () => {
      const world = serviceOf([endpointOf(8084)]);
      world.network.refuse('10.9.9.9:8084', TIMED_OUT);
      expect(outcome(world.get().take())).toEqual({ status: 504, error: 'endpoint 10.9.9.9:8084: connect timed out', isClosing: true });
    });

    it('500 for an application that closes without an answer', () => {
      const world = serviceOf([endpointOf(8080)]);
      const client = world.get('/', '');
      world.h1[0]?.end();
      world.loop.run();
      expect(outcome(client.take())).toEqual({ status: 500, error: 'unexpected error', isClosing: true });
    });

    it('404 where no route matches, 500 for a policy that cannot be read, 502 without dispatcher', () => {
      const world = new OutboundWorld();
      const target = world.discovery.target('10.96.0.1:80');
      target.set(targetOf(outboundPolicyOf('detect', [{ prefix: '/only', backends: [BACKEND] }])));
      expect(outcome(world.get('/nope').take())).toEqual({
        status: 404,
        error: 'logical service 10.96.0.1:80: no route',
        isClosing: false,
      });
      target.set(targetOf({ ...outboundPolicyOf('detect', []), protocol: 'invalid' }));
      expect(outcome(world.get().take())).toEqual({ status: 500, error: 'unexpected error', isClosing: true });
      target.set(targetOf(outboundPolicyOf('detect', [{ backends: [{ ...BACKEND, target: { kind: 'none' } }] }])));
      expect(outcome(world.get().take()).status).toBe(502);
    });

    it('what filters say', () => {
      const world = new OutboundWorld();
      world.discovery.target('10.96.0.1:80').set(
        targetOf(
          outboundPolicyOf('detect', [
            {
              prefix: '/redirect',
              backends: [BACKEND],
              filters: [{ kind: 'redirect', scheme: undefined, host: 'other.example.com', path: undefined, port: 8080, status: 0 }],
            },
            {
              prefix: '/missing',
              backends: [BACKEND],
              filters: [{ kind: 'failHttp', status: 500, message: 'Service not found nope', numerator: 1, denominator: 1 }],
            },
          ]),
        ),
      );
      const redirect = world.get('/redirect/a?b=c').take();
      expect(outcome(redirect)).toEqual({ status: 301, error: 'redirected', isClosing: false });
      expect(redirect).toContain('\r\nlocation: http://other.example.com:8080/redirect/a?b=c\r\n');
      expect(outcome(world.get('/missing').take())).toEqual({ status: 500, error: 'Service not found nope', isClosing: false });
    });

    it('503 when the queue is full', () => {
      const world = serviceOf([], { environment: { OUTBOUND_HTTP_QUEUE_CAPACITY: '2' } });
      const waiting = [world.get(), world.get()];
      expect(outcome(world.get().take()).status).toBe(503);
      for (const client of waiting) expect(client.text).toBe('');
    });

    it('503 beyond MAX_IN_FLIGHT, counted until the response begins', () => {
      const world = serviceOf([endpointOf(8080, H2_HINT)], { maxInFlight: 2 });
      world.get();
      const second = world.get();
      expect(outcome(world.get().take())).toMatchObject({ status: 503, error: 'service overloaded' });
      world.h2[0]?.streams[0]?.handle?.sendHeaders([':status', '200'], false);
      world.loop.run();
      const third = world.get();
      expect([second.text, third.text]).toEqual(['', '']);
      second.reset();
      third.reset();
      world.loop.run();
      expect(world.admission.inFlight).toBe(0);
    });

    it('503 close to the memory limit', () => {
      let bytes = 500;
      const world = answering(serviceOf([endpointOf(8080, H2_HINT)], { privateBytes: () => bytes }));
      expect(outcome(world.get().take()).status).toBe(200);
      bytes = 950;
      world.loop.advance(100);
      expect(outcome(world.get().take()).status).toBe(503);
      bytes = 500;
      world.loop.advance(100);
      expect(outcome(world.get().take()).status).toBe(200);
    });

    it('[PROTO-15] without a word where informational headers are off', () => {
      const world = serviceOf([endpointOf(8084)], { emitDetails: false });
      world.network.refuse('10.9.9.9:8084', REFUSED);
      expect(world.get().take()).toMatch(/^HTTP\/1\.1 502 Bad Gateway\r\ncontent-length: 0\r\ndate: [^\r]*\r\nconnection: close\r\n\r\n$/);
    });
  });

  describe('routing', () => {
    it('splits by weight', () => {
      const world = new OutboundWorld();
      const names = ['a.test:80', 'b.test:80'];
      world.discovery
        .target('10.96.0.1:80')
        .set(targetOf(outboundPolicyOf('detect', [{ backends: names.map((name) => balanceBackend(name)), weights: [9, 1] }])));
      names.forEach((name, i) => world.discovery.setEndpoints(name, [endpointOf(i + 1, H2_HINT)]));
      answering(world);
      const bodies = Array.from({ length: 500 }, () => world.get().take()).map((text) => text.slice(-8, -7));
      const share = bodies.filter((body) => body === '1').length / bodies.length;
      expect(share).toBeGreaterThan(0.85);
      expect(share).toBeLessThan(0.95);
    });

    it('passes over backends in fail-fast', () => {
      const world = answering(new OutboundWorld());
      world.discovery
        .target('10.96.0.1:80')
        .set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('a.test:80'), balanceBackend('b.test:80')] }])));
      world.discovery.setEndpoints('a.test:80', []);
      world.discovery.setEndpoints('b.test:80', [endpointOf(2, H2_HINT)]);
      const first = world.get();
      world.loop.advance(3001);
      expect(outcome(first.take()).status).toBe(504);
      expect(world.get().take()).toContain('\r\n2\r\n');
    });

    it('modifies request and response fields, of route and backend', () => {
      const world = new OutboundWorld();
      const backend = {
        ...BACKEND,
        filters: [{ kind: 'requestHeaders', modifier: { add: [], set: [], remove: ['x-gone'] } } as const],
      };
      world.discovery.target('10.96.0.1:80').set(
        targetOf(
          outboundPolicyOf('detect', [
            {
              backends: [backend],
              filters: [
                { kind: 'requestHeaders', modifier: { add: [], set: [['x-set', 'two']], remove: [] } },
                { kind: 'responseHeaders', modifier: { add: [['y-add', 'one']], set: [], remove: ['x-app'] } },
              ],
            },
          ]),
        ),
      );
      world.discovery.setEndpoints('svc.test:80', [endpointOf(1)]);
      const client = world.get('/', 'x-gone: 1\r\nx-set: one\r\n');
      expect(world.h1[0]?.take()).toBe('GET / HTTP/1.1\r\nhost: svc.test\r\nx-set: two\r\n\r\n');
      world.h1[0]?.send('HTTP/1.1 200 OK\r\nx-app: 1\r\ncontent-length: 0\r\n\r\n');
      world.loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.1 200 OK\r\ncontent-length: 0\r\ny-add: one\r\n/);
    });

    it('keeps connections to backends that a new policy still has, and closes the others', () => {
      const world = answering(new OutboundWorld());
      const target = world.discovery.target('10.96.0.1:80');
      const [a, b] = [balanceBackend('a.test:80'), balanceBackend('b.test:80')];
      target.set(
        targetOf(
          outboundPolicyOf('detect', [
            { prefix: '/a', backends: [a] },
            { prefix: '/b', backends: [b] },
          ]),
        ),
      );
      world.discovery.setEndpoints('a.test:80', [endpointOf(1, H2_HINT)]);
      world.discovery.setEndpoints('b.test:80', [endpointOf(2, H2_HINT)]);
      world.get('/a');
      world.get('/b');
      expect(world.network.accepted).toHaveLength(2);
      target.set(targetOf(outboundPolicyOf('detect', [{ prefix: '/', backends: [a] }])));
      world.loop.run();
      expect(world.get('/b').take()).toContain('\r\n1\r\n');
      expect(world.network.accepted).toHaveLength(2);
      expect(world.h2.map((peer) => peer.isReadEnded)).toEqual([false, true]);
      expect(world.discovery.subscribers('b.test:80')).toBe(0);
    });

    it('routes requests of one connection by the policy of the moment', () => {
      const world = answering(new OutboundWorld());
      const target = world.discovery.target('10.96.0.1:80');
      target.set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('a.test:80')] }])));
      world.discovery.setEndpoints('a.test:80', [endpointOf(1, H2_HINT)]);
      world.discovery.setEndpoints('b.test:80', [endpointOf(2, H2_HINT)]);
      const client = world.get();
      expect(client.take()).toContain('\r\n1\r\n');
      target.set(targetOf(outboundPolicyOf('detect', [{ backends: [balanceBackend('b.test:80')] }])));
      client.send('GET / HTTP/1.1\r\nhost: svc.test\r\n\r\n');
      world.loop.run();
      expect(client.take()).toContain('\r\n2\r\n');
    });
  });

  describe('balancing', () => {
    it('[LB-01] sends less to an endpoint that is slow', () => {
      const world = serviceOf([endpointOf(1, H2_HINT), endpointOf(2, H2_HINT)]);
      world.onRequest = (stream, _peer, { address }) => {
        world.loop.clock.after(address.port === 1 ? 5 : 200, () => stream.respond(200));
      };
      const clients = [];
      for (let i = 0; i < 400; i++) {
        clients.push(world.get());
        world.loop.advance(5);
      }
      world.loop.advance(1000);
      const counts = world.h2.map((peer) => peer.streams.length);
      const slow = world.network.accepted.findIndex((entry) => entry.address.port === 2);
      expect(counts[slow] as number).toBeLessThan(80);
      expect(counts[1 - slow] as number).toBeGreaterThan(300);
      for (const client of clients) expect(client.take()).toContain(' 200 ');
    });

    it('tries another endpoint where a connect is refused, then leaves the refusing one alone for a while', () => {
      const world = serviceOf([endpointOf(1), endpointOf(2)]);
      world.network.refuse('10.9.9.9:1', REFUSED);
      for (let i = 0; i < 10; i++) {
        const client = world.get('/', 'connection: close\r\n');
        world.h1.at(-1)?.send('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        world.loop.run();
        expect(outcome(client.take()).status).toBe(200);
      }
      expect(world.network.attempts.filter((address) => address === '10.9.9.9:1').length).toBeLessThanOrEqual(1);
      world.network.refuse('10.9.9.9:1', undefined);
      world.loop.advance(200);
      for (let i = 0; i < 10; i++) {
        world.get('/', 'connection: close\r\n');
        world.h1.at(-1)?.send('HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n');
        world.loop.run();
      }
      expect(world.network.to('10.9.9.9:1').length).toBeGreaterThan(0);
    });

    it('[PROTO-22] reconnects with a growing back-off', () => {
      const world = serviceOf([endpointOf(1, H2_HINT)]);
      world.network.refuse('10.9.9.9:1', REFUSED);
      world.get();
      const times: number[] = [];
      let seen = 0;
      for (let ms = 0; ms < 10_000; ms += 10) {
        if (world.network.attempts.length > seen) {
          seen = world.network.attempts.length;
          times.push(ms);
        }
        world.loop.advance(10);
      }
      const gaps = times.slice(1).map((time, i) => time - (times[i] as number));
      expect(times.length).toBeLessThan(9);
      for (let i = 1; i < gaps.length; i++) expect(gaps[i] as number).toBeGreaterThan((gaps[i - 1] as number) * 1.5);
    });

    it('backs off from a peer that accepts and hangs up', () => {
      const world = serviceOf([endpointOf(1, H2_HINT)]);
      const { onAccept } = world.network;
      world.network.onAccept = (accepted) => {
        onAccept?.(accepted);
        accepted.stream.destroy();
      };
      world.get();
      world.loop.advance(3000);
      expect(world.network.accepted.length).toBeLessThan(8);
    });

    it('lets requests in flight finish when their endpoint is removed', () => {
      const world = serviceOf([endpointOf(1, H2_HINT), endpointOf(2, H2_HINT)]);
      const client = world.get();
      const peer = world.h2.find((entry) => entry.streams.length > 0);
      const port = world.network.accepted[world.h2.indexOf(peer as never)]?.address.port as number;
      world.discovery.removeEndpoints('svc.test:80', [{ ip: '10.9.9.9', port }]);
      world.loop.run();
      expect(peer?.isReadEnded).toBe(false);
      peer?.streams[0]?.respond(200, [], 'done');
      world.loop.run();
      expect(client.take()).toContain('done');
      expect(peer?.isReadEnded).toBe(true);
      answering(world);
      expect(world.get().take()).toContain(`\r\n${3 - port}\r\n`);
    });

    it('connects anew to an endpoint whose metadata has changed', () => {
      const world = answering(serviceOf([endpointOf(1, H2_HINT)]));
      world.get();
      world.discovery.addEndpoints('svc.test:80', [endpointOf(1, H2_HINT)]);
      world.loop.run();
      expect(world.network.accepted).toHaveLength(1);
      world.discovery.addEndpoints('svc.test:80', [endpointOf(1, { ...H2_HINT, labels: { pod: 'new' } })]);
      world.loop.run();
      expect(world.network.accepted).toHaveLength(2);
      expect(world.h2[0]?.isReadEnded).toBe(true);
      expect(outcome(world.get().take()).status).toBe(200);
    });

    it('keeps requests waiting while all endpoints are replaced', () => {
      const world = serviceOf([]);
      const client = world.get();
      world.loop.advance(1000);
      answering(world);
      world.discovery.addEndpoints('svc.test:80', [endpointOf(7, H2_HINT)]);
      world.loop.run();
      expect(client.take()).toContain('\r\n7\r\n');
    });

    it('[PROTO-20] finds a vanished meshed peer by PING in less than 15 seconds', () => {
      const world = serviceOf([
        endpointOf(1, { ...H2_HINT, http2: { keepAliveIntervalMs: 10_000, keepAliveTimeoutMs: 3000, keepAliveWhileIdle: true } }),
      ]);
      const client = world.get();
      world.network.accepted[0]?.stream.pauseReading();
      world.loop.advance(14_000);
      expect(outcome(client.take()).status).toBe(502);
    });
  });

  describe('[PROTO-23] to HTTP/1 endpoints', () => {
    function exchange(world: OutboundWorld): string {
      const client = world.get();
      world.h1.at(-1)?.send('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      world.loop.run();
      return client.take();
    }

    it('reuses connections, and closes them when idle for three seconds', () => {
      const world = serviceOf([endpointOf(1)]);
      for (let i = 0; i < 5; i++) expect(exchange(world)).toContain('ok');
      expect(world.h1).toHaveLength(1);
      world.loop.advance(2900);
      expect(world.h1[0]?.isReadEnded).toBe(false);
      world.loop.advance(3200);
      expect(world.h1[0]?.isReadEnded).toBe(true);
    });

    it('takes another connection where a pooled one closes in the face of the request', () => {
      const world = serviceOf([endpointOf(1)]);
      exchange(world);
      const client = world.raw();
      client.send('GET /again HTTP/1.1\r\nhost: svc.test\r\n\r\n');
      world.h1[0]?.stream.destroy({ reset: true });
      world.loop.run();
      world.h1[1]?.send('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nnew');
      world.loop.run();
      expect(client.take()).toContain('new');
    });

    it('uses a connection of its own for HTTP/1.0', () => {
      const world = serviceOf([endpointOf(1)]);
      exchange(world);
      const client = world.raw();
      client.send('GET / HTTP/1.0\r\n\r\n');
      world.loop.run();
      expect(world.h1).toHaveLength(2);
      expect(world.h1[1]?.take()).toBe('GET / HTTP/1.0\r\n\r\n');
      world.h1[1]?.send('HTTP/1.0 200 OK\r\n\r\nto the end');
      world.h1[1]?.end();
      world.loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.0 200 OK\r\ndate: [^\r]*\r\n\r\nto the end$/);
      expect(client.isReadEnded).toBe(true);
    });

    it('tunnels CONNECT', () => {
      const world = serviceOf([endpointOf(1)]);
      const client = world.raw();
      client.send('CONNECT svc.test:443 HTTP/1.1\r\nhost: svc.test:443\r\n\r\n');
      world.loop.run();
      expect(world.h1[0]?.take()).toBe('CONNECT svc.test:443 HTTP/1.1\r\nhost: svc.test:443\r\n\r\n');
      world.h1[0]?.send('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n');
      world.loop.run();
      client.send('to');
      world.h1[0]?.send('fro');
      world.loop.run();
      expect(client.take()).toMatch(/^HTTP\/1\.1 200 OK\r\ndate: [^\r]*\r\n\r\nfro$/);
      expect(world.h1[0]?.take()).toBe('to');
    });

    it('passes Expect and 100 Continue', () => {
      const world = serviceOf([endpointOf(1)]);
      const client = world.raw();
      client.send('POST / HTTP/1.1\r\nhost: svc\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n');
      world.loop.run();
      expect(world.h1[0]?.take()).toContain('expect: 100-continue\r\n');
      world.h1[0]?.send('HTTP/1.1 100 Continue\r\n\r\n');
      world.loop.run();
      expect(client.take()).toBe('HTTP/1.1 100 Continue\r\n\r\n');
      client.send('body');
      world.loop.run();
      expect(world.h1[0]?.take()).toBe('body');
    });
  });

  describe('flow control through both halves', () => {
    const BYTES = 2_000_000;

    it('bounds what waits for an endpoint that is not there yet', () => {
      const world = serviceOf([]);
      const client = world.raw();
      client.send(`POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: ${BYTES}\r\n\r\n`);
      for (let i = 0; i < BYTES; i += 10_000) client.send('x'.repeat(10_000));
      world.loop.run();
      expect(client.stream.bytesWritten).toBeLessThan(300_000);
      world.discovery.setEndpoints('svc.test:80', [endpointOf(1, H2_HINT)]);
      world.loop.run();
      const [stream] = world.h2[0]?.streams ?? [];
      expect([stream?.bodyBytes, stream?.isEnded]).toEqual([BYTES, true]);
    });

    it.each([
      ['HTTP/1 to HTTP/2', H2_HINT],
      ['HTTP/1 to HTTP/1', {}],
    ])('bounds an upload that nobody reads, and lets it through in the end: %s', (_name, hint) => {
      const world = serviceOf([endpointOf(1, hint)]);
      const client = world.raw();
      client.isCountingOnly = true;
      const { onAccept } = world.network;
      world.network.onAccept = (accepted) => {
        onAccept?.(accepted);
        accepted.stream.pauseReading();
      };
      client.send(`POST / HTTP/1.1\r\nhost: svc\r\ncontent-length: ${BYTES}\r\n\r\n`);
      for (let i = 0; i < BYTES; i += 10_000) client.send('x'.repeat(10_000));
      world.loop.run();
      expect(client.stream.bytesWritten).toBeLessThan(800_000);
      const [accepted] = world.network.accepted;
      const peer = world.h1[0];
      if (peer !== undefined) peer.isCountingOnly = true;
      accepted?.stream.resumeReading();
      world.loop.run();
      // Over HTTP/1 the head counts too.
      const received = peer?.receivedBytes ?? world.h2[0]?.streams[0]?.bodyBytes ?? 0;
      expect(received - BYTES).toBeGreaterThanOrEqual(0);
      expect(received - BYTES).toBeLessThan(200);
    });

    it.each([
      ['HTTP/2 to HTTP/1', H2_HINT],
      ['HTTP/1 to HTTP/1', {}],
    ])('bounds a download that nobody reads, and lets it through in the end: %s', (_name, hint) => {
      const world = serviceOf([endpointOf(1, hint)]);
      const client = world.raw();
      client.isCountingOnly = true;
      client.send('GET / HTTP/1.1\r\nhost: svc\r\n\r\n');
      world.loop.run();
      client.stream.pauseReading();
      const [accepted] = world.network.accepted;
      const body = 'y'.repeat(BYTES);
      if (world.h1[0] === undefined) world.h2[0]?.streams[0]?.respond(200, ['content-length', String(BYTES)], body);
      else world.h1[0].send(`HTTP/1.1 200 OK\r\ncontent-length: ${BYTES}\r\n\r\n${body}`);
      world.loop.run();
      expect(accepted?.stream.bytesWritten as number).toBeLessThan(800_000);
      client.stream.resumeReading();
      world.loop.run();
      expect(client.receivedBytes).toBeGreaterThan(BYTES);
    });

    it('bounds a download between HTTP/2 halves', () => {
      const world = serviceOf([endpointOf(1)]);
      const client = world.http2();
      const stream = client.get('/');
      stream.isConsuming = false;
      world.loop.run();
      world.h2[0]?.streams[0]?.respond(200, [], 'y'.repeat(BYTES));
      world.loop.run();
      expect(world.network.accepted[0]?.stream.bytesWritten as number).toBeLessThan(500_000);
      stream.isConsuming = true;
      stream.consume();
      world.loop.run();
      expect([stream.bodyBytes, stream.isEnded]).toEqual([BYTES, true]);
    });
  });

  it('forgets a destination that nobody uses, and its timers', () => {
    const world = answering(serviceOf([endpointOf(1, H2_HINT)]));
    const client = world.get();
    client.end();
    world.loop.run();
    expect(world.discovery.outboundWatchers.get('10.96.0.1:80')).toBe(1);
    world.loop.advance(5001);
    expect(world.discovery.outboundWatchers.get('10.96.0.1:80')).toBe(0);
    expect(world.discovery.subscribers('svc.test:80')).toBe(0);
    expect(world.h2[0]?.isReadEnded).toBe(true);
    world.loop.advance(60_000);
    expect(world.loop.pendingTimers).toBe(0);
  });

  it('[PROTO-24] drains: idle connections close, exchanges finish', () => {
    const world = serviceOf([endpointOf(1, H2_HINT)]);
    const idle = answering(world).get();
    idle.take();
    world.onRequest = undefined;
    const busy = world.get();
    const h2 = world.http2();
    let isDrained = false;
    world.drain.begin(() => {
      isDrained = true;
    });
    world.loop.run();
    expect([idle.isReadEnded, busy.isReadEnded, h2.goaways.length]).toEqual([true, false, 2]);
    idle.end();
    world.loop.run();
    expect(isDrained).toBe(false);
    world.h2[0]?.streams.at(-1)?.respond(200, [], 'late');
    world.loop.run();
    expect(busy.take()).toMatch(/connection: close\r\n[\s\S]*late/);
    busy.end();
    world.loop.run();
    expect(isDrained).toBe(true);
  });
});
