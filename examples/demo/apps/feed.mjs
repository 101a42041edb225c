// SPDX-License-Identifier: Apache-2.0
// The feed service: a unary call and a server stream of prices.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { Feed } from './feed-contract.mjs';

let price = 100;
setInterval(() => (price += Math.round(Math.random() * 10 - 5)), 200).unref();

const server = new Server();
server.addService(Feed, {
  latest: (call, callback) => callback(null, { symbol: call.request.symbol, price }),
  follow(call) {
    let left = call.request.count ?? 20;
    const timer = setInterval(() => {
      call.write({ symbol: call.request.symbol, price });
      left -= 1;
      if (left === 0) {
        clearInterval(timer);
        call.end();
      }
    }, 100);
    call.on('cancelled', () => clearInterval(timer));
  },
});
server.bindAsync('0.0.0.0:50051', ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error;
});
process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
