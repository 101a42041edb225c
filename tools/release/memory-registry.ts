// SPDX-License-Identifier: Apache-2.0
/* A registry for tests: keeps in memory what is pushed and refuses what a real one would (a blob of another digest, a manifest whose parts are missing). */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { digestOf } from './registry.ts';

interface StoredManifest {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export class MemoryRegistry {
  readonly blobs = new Map<string, Buffer>();
  /** By `repository@digest` and `repository:tag`. */
  readonly manifests = new Map<string, StoredManifest>();
  /** Method and path of each request. */
  readonly requests: string[] = [];
  private readonly server: Server;
  private readonly token: string | undefined;

  private constructor(token: string | undefined) {
    this.token = token;
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  /** With `token`, requests need it, and it is given to the user `robot` with the password `secret`. */
  static async start(token?: string): Promise<MemoryRegistry> {
    const registry = new MemoryRegistry(token);
    await new Promise<void>((resolve) => registry.server.listen(0, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const body = Buffer.concat(pieces);
    const { method = '', url = '', headers } = request;
    this.requests.push(`${method} ${url}`);
    const { pathname, searchParams } = new URL(url, 'http://registry');
    const end = (status: number, fields: Readonly<Record<string, string>> = {}, bytes?: Uint8Array): void => {
      response.writeHead(status, { ...fields, ...(bytes === undefined ? {} : { 'content-length': String(bytes.length) }) });
      response.end(method === 'HEAD' ? undefined : bytes);
    };
    if (pathname === '/token') {
      const isRobot = headers.authorization === `Basic ${Buffer.from('robot:secret').toString('base64')}`;
      return end(isRobot ? 200 : 403, {}, Buffer.from(JSON.stringify({ token: this.token })));
    }
    if (this.token !== undefined && headers.authorization !== `Bearer ${this.token}`)
      return end(401, { 'www-authenticate': `Bearer realm="http://${this.host}/token",service="test"` });
    if (pathname === '/v2/') return end(200);
    const [, repository = '', kind, rest = ''] = /^\/v2\/(.+)\/(blobs|manifests)\/(.*)$/.exec(pathname) ?? [];
    if (kind === 'blobs') {
      if (method === 'POST') return end(202, { location: `/v2/${repository}/blobs/uploads/1?state=x` });
      if (method === 'PATCH') {
        this.blobs.set('upload', body);
        return end(202, { location: `/v2/${repository}/blobs/uploads/1?state=x` });
      }
      if (method === 'PUT') {
        const bytes = body.length > 0 ? body : (this.blobs.get('upload') ?? body);
        if (searchParams.get('digest') !== digestOf(bytes)) return end(400);
        this.blobs.set(digestOf(bytes), bytes);
        return end(201, { location: `/v2/${repository}/blobs/${digestOf(bytes)}`, 'docker-content-digest': digestOf(bytes) });
      }
      const bytes = this.blobs.get(rest);
      return bytes === undefined ? end(404) : end(200, { 'docker-content-digest': rest }, bytes);
    }
    if (kind !== 'manifests') return end(404);
    const key = (reference: string): string => `${repository}${reference.includes(':') ? '@' : ':'}${reference}`;
    if (method === 'PUT') {
      if (!this.hasParts(repository, body)) return end(400, {}, Buffer.from('MANIFEST_BLOB_UNKNOWN'));
      const stored = { mediaType: headers['content-type'] ?? '', bytes: body };
      this.manifests.set(key(rest), stored).set(key(digestOf(body)), stored);
      return end(201, { location: pathname, 'docker-content-digest': digestOf(body) });
    }
    const stored = this.manifests.get(key(rest));
    if (stored === undefined) return end(404);
    return end(200, { 'content-type': stored.mediaType, 'docker-content-digest': digestOf(stored.bytes) }, stored.bytes);
  }

  private hasParts(repository: string, manifest: Buffer): boolean {
    type Parts = { readonly digest: string };
    const {
      config,
      layers = [],
      manifests = [],
    } = JSON.parse(manifest.toString()) as { config?: Parts; layers?: Parts[]; manifests?: Parts[] };
    const blobs = config === undefined ? layers : [config, ...layers];
    return (
      blobs.every(({ digest }) => this.blobs.has(digest)) && manifests.every(({ digest }) => this.manifests.has(`${repository}@${digest}`))
    );
  }
}
