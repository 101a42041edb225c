// SPDX-License-Identifier: Apache-2.0
// The load: one kind of traffic per container, named by the first argument. Services are named as any application names them.
import http from 'node:http';
import net from 'node:net';
import { credentials, makeClientConstructor } from '@grpc/grpc-js';
import { WebSocket } from 'ws';
import { Feed } from './feed-contract.mjs';

const [kind, rate = '50'] = process.argv.slice(2);
const intervalMs = 1000 / Number(rate);

function every(ms, action) {
  // Open loop: the next one starts on time, whatever became of the last.
  let due = performance.now();
  const tick = () => {
    action();
    due += ms;
    setTimeout(tick, Math.max(0, due - performance.now()));
  };
  tick();
}

const kinds = {
  web() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    let count = 0;
    every(intervalMs, () => {
      count += 1;
      const request = http.get({ host: 'web.demo', port: 80, path: count % 5 === 0 ? '/items' : '/', agent }, (response) =>
        response.resume(),
      );
      request.on('error', (error) => console.error(`web: ${error.message}`));
    });
  },
  feed() {
    const Client = makeClientConstructor(Feed, 'demo.Feed');
    const client = new Client('feed.demo:50051', credentials.createInsecure());
    every(intervalMs, () => client.latest({ symbol: 'WEFT' }, (error) => error && console.error(`feed: ${error.message}`)));
    const follow = () => {
      const stream = client.follow({ symbol: 'WEFT', count: 50 });
      stream.on('data', () => {});
      stream.on('error', (error) => console.error(`feed: ${error.message}`));
      stream.on('end', () => setTimeout(follow, 100));
    };
    follow();
  },
  chat() {
    const open = () => {
      const socket = new WebSocket('ws://chat.demo:8082/chat');
      let timer;
      socket.on('open', () => (timer = setInterval(() => socket.send(`hello at ${Date.now()}`), intervalMs)));
      socket.on('error', (error) => console.error(`chat: ${error.message}`));
      socket.on('close', () => {
        clearInterval(timer);
        setTimeout(open, 500);
      });
    };
    open();
  },
  redis() {
    const open = () => {
      const socket = net.connect(6379, 'redis.demo');
      let timer;
      socket.on('connect', () => (timer = setInterval(() => socket.write('INCR visits\r\n'), intervalMs)));
      socket.on('data', () => {});
      socket.on('error', (error) => console.error(`redis: ${error.message}`));
      socket.on('close', () => {
        clearInterval(timer);
        setTimeout(open, 500);
      });
    };
    open();
  },
};
kinds[kind]();
process.on('SIGTERM', () => process.exit(0));
