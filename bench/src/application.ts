// SPDX-License-Identifier: Apache-2.0
/* The applications behind the proxies: nginx with a static answer over HTTP/1.1 and HTTP/2, and the gRPC echo server. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { APP_PORTS } from './cases.ts';
import { inNamespace, SERVER_IP, SERVER_NS } from './rig.ts';
import { run, start, type Started, until } from './shell.ts';

const ANSWER = 'A static answer of about a hundred bytes, so that it is neither empty nor larger than a small JSON.';

/** Starts them in the server's namespace and waits until they listen. */
export async function startApplications(directory: string, grpcEcho: string): Promise<Started[]> {
  const { http1, http2, grpc } = APP_PORTS;
  const path = join(directory, 'nginx.conf');
  // One process, so that the end of it is the end of nginx; one worker's speed is enough for one proxy.
  writeFileSync(
    path,
    `daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/nginx-error.log;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 3600s;
  http2_max_concurrent_streams 1024;
  client_body_temp_path ${directory}/nginx-body;
  proxy_temp_path ${directory}/nginx-proxy;
  fastcgi_temp_path ${directory}/nginx-fastcgi;
  uwsgi_temp_path ${directory}/nginx-uwsgi;
  scgi_temp_path ${directory}/nginx-scgi;
  server {
    listen ${http1.meshed} backlog=4096;
    listen ${http1.direct} backlog=4096;
    listen ${http2.meshed} http2;
    listen ${http2.direct} http2;
    location / { default_type text/plain; return 200 '${ANSWER}'; }
  }
}
`,
  );
  const nginx = start(join(directory, 'nginx.log'), {}, 'ip', ...inNamespace(SERVER_NS, 'nginx', '-c', path));
  const echo = start(
    join(directory, 'grpc-echo.log'),
    {},
    'ip',
    ...inNamespace(SERVER_NS, grpcEcho, `${SERVER_IP}:${grpc.meshed}`, `${SERVER_IP}:${grpc.direct}`),
  );
  for (const { direct } of Object.values(APP_PORTS))
    await until(
      `application on port ${direct}`,
      10_000,
      () => run('ip', ...inNamespace(SERVER_NS, 'ss', '-Hltn', `sport = :${direct}`)) !== '',
    );
  return [nginx, echo];
}
