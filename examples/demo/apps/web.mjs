// SPDX-License-Identifier: Apache-2.0
// The web service: HTTP/1 with keep-alive. VERSION tells the canary's two sides apart; GET /items asks the api service over HTTP/2.
import http from 'node:http';
import http2 from 'node:http2';

const version = process.env.VERSION ?? 'v1';
let api;

function askApi(path) {
  if (api === undefined || api.closed || api.destroyed) {
    api = http2.connect('http://api.demo:8081');
    api.on('error', () => {});
  }
  return new Promise((resolve, reject) => {
    const stream = api.request({ ':path': path });
    let body = '';
    stream.setEncoding('utf8');
    stream.on('data', (text) => (body += text));
    stream.on('end', () => resolve(body));
    stream.on('error', reject);
    stream.end();
  });
}

async function answer(request, response) {
  if (request.url === '/healthz') {
    response.end('ok\n');
    return;
  }
  try {
    const items = request.url === '/items' ? JSON.parse(await askApi('/items')) : undefined;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ version, path: request.url, client: request.headers['l5d-client-id'], items }));
  } catch (error) {
    response.statusCode = 502;
    response.end(`${error.message}\n`);
  }
}

const server = http.createServer((request, response) => void answer(request, response));
server.keepAliveTimeout = 60_000;
server.listen(8080);
// Answer what is in flight, then end.
process.on('SIGTERM', () => server.close(() => process.exit(0)));
