// SPDX-License-Identifier: Apache-2.0
/*
 * What one version's parser lets in the other's writer must be able to say: where it cannot, a peer could make our own code throw, or end a
 * line early (bad-inputs 14).
 */
import * as fc from 'fast-check';
import { headersFrame, settingsFrame } from '@weft/http2/testing';
import { describe, expect, it } from 'vitest';
import { createStreamPair } from '../testing/memory-stream.ts';
import { OutboundWorld } from '../testing/outbound-world.ts';
import { endpointOf, forwardBackend, outboundPolicyOf, targetOf } from '../testing/policies.ts';
import { RawPeer } from '../testing/raw-peer.ts';

const OCTETS = Array.from({ length: 256 }, (_, octet) => String.fromCharCode(octet));
const text = fc.string({ unit: fc.constantFrom(...OCTETS), maxLength: 12 });

function world(hint: 'none' | 'h2'): OutboundWorld {
  const made = new OutboundWorld();
  made.discovery
    .target('10.96.0.1:80')
    .set(targetOf(outboundPolicyOf('detect', [{ backends: [forwardBackend(endpointOf(1, { protocolHint: hint }))] }])));
  return made;
}

describe('a request of HTTP/2 for an HTTP/1 application', () => {
  it.each([
    ['path', (value: string) => [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', `/${value}`]],
    ['authority', (value: string) => [':method', 'GET', ':scheme', 'http', ':authority', value, ':path', '/']],
    ['method', (value: string) => [':method', value, ':scheme', 'http', ':authority', 'a', ':path', '/']],
    ['scheme', (value: string) => [':method', 'GET', ':scheme', value, ':authority', 'a', ':path', '/']],
    ['field name', (value: string) => [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/', value, 'x']],
    ['field value', (value: string) => [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/', 'x', value]],
    ['host', (value: string) => [':method', 'GET', ':scheme', 'http', ':path', '/', 'host', value]],
  ])('is refused or written as one request, whatever its %s', (_part, fields) => {
    fc.assert(
      fc.property(text, fc.constantFrom('HTTP/1.1', 'HTTP/1.1; absolute-form', 'HTTP/1.0'), (value, version) => {
        const { loop, ...made } = world('none');
        const [client, ours] = createStreamPair(loop, {}, { ip: '10.1.0.1', port: 1 }, { ip: '10.96.0.1', port: 80 });
        made.server.accept(ours, { ip: '10.96.0.1', port: 80 });
        const peer = new RawPeer(client);
        peer.send('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n').send(settingsFrame([]));
        peer.send(headersFrame(1, [...fields(value), 'l5d-orig-proto', version], { endStream: true }));
        // Throws what any sink threw.
        loop.run();
        const [app] = made.h1;
        const written = app?.text ?? '';
        expect(written === '' || /^[!-~]+ [^\0-\x20\x7f]+ HTTP\/1\.[01]\r\n([^\r\n:]+: [^\r\n]*\r\n)*\r\n$/.test(written)).toBe(true);
      }),
      { numRuns: 400 },
    );
  });
});

describe('a request of HTTP/1 for an HTTP/2 peer', () => {
  it.each([
    ['target', (value: string) => `GET /${value} HTTP/1.1\r\nhost: a\r\n\r\n`],
    ['host', (value: string) => `GET / HTTP/1.1\r\nhost: ${value}\r\n\r\n`],
    ['absolute target', (value: string) => `GET http://${value}/x HTTP/1.1\r\nhost: a\r\n\r\n`],
    ['method', (value: string) => `${value} / HTTP/1.1\r\nhost: a\r\n\r\n`],
    ['field', (value: string) => `GET / HTTP/1.1\r\nhost: a\r\n${value}: ${value}\r\n\r\n`],
    ['whole', (value: string) => value],
  ])('is refused or taken for well-formed there, whatever its %s', (_part, request) => {
    fc.assert(
      fc.property(text, (value) => {
        const made = world('h2');
        const peer = made.raw();
        peer.send(request(value));
        peer.send('GET /after HTTP/1.1\r\nhost: a\r\n\r\n');
        made.loop.run();
        for (const endpoint of made.h2) {
          expect(endpoint.codec.error).toBeUndefined();
          expect(endpoint.codec.counters.malformedMessages).toBe(0);
        }
      }),
      { numRuns: 400 },
    );
  });
});
