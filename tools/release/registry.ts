// SPDX-License-Identifier: Apache-2.0
/*
 * As much of a client for OCI registries (OCI distribution-spec 1.1) as a release needs: is it there, put a blob, put a manifest. Credentials are a
 * user and a password, exchanged for a token where the registry wants one (`WWW-Authenticate: Bearer`, Docker's token protocol).
 */
import { createHash } from 'node:crypto';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface RegistryOptions {
  /** `https://ghcr.io`; a test's registry speaks plain HTTP. */
  readonly origin: string;
  readonly credentials?: Credentials;
}

/** What a registry answered that is no success. */
export class RegistryError extends Error {
  override name = 'RegistryError';
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** `sha256:…` of bytes. */
export function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** One repository of a registry, such as `weft-mesh/proxy`. */
export class Repository {
  readonly name: string;
  private readonly options: RegistryOptions;
  private authorization: string | undefined;

  constructor(name: string, options: RegistryOptions) {
    this.name = name;
    this.options = options;
  }

  /** The digest of the manifest of a tag; undefined where the tag does not exist. */
  async digestOfTag(tag: string): Promise<string | undefined> {
    const accept = ['index.v1+json', 'manifest.v1+json'].map((type) => `application/vnd.oci.image.${type}`).join(', ');
    const answer = await this.ask('HEAD', `/v2/${this.name}/manifests/${tag}`, { accept });
    if (answer.status === 404) return undefined;
    if (!answer.ok) throw await problem(answer);
    return answer.headers.get('docker-content-digest') ?? undefined;
  }

  /** Puts a blob where the registry lacks it. */
  async putBlob(bytes: Uint8Array): Promise<void> {
    const digest = digestOf(bytes);
    if ((await this.ask('HEAD', `/v2/${this.name}/blobs/${digest}`)).ok) return;
    const begun = await this.ask('POST', `/v2/${this.name}/blobs/uploads/`);
    const location = begun.headers.get('location');
    if (begun.status !== 202 || location === null) throw await problem(begun);
    const upload = new URL(location, this.options.origin);
    upload.searchParams.set('digest', digest);
    const put = await this.ask('PUT', upload.href, { 'content-type': 'application/octet-stream' }, bytes);
    if (put.status !== 201) throw await problem(put);
  }

  /** Puts a manifest or an index under a tag, or under its digest where no tag is given. Returns its digest. */
  async putManifest(bytes: Uint8Array, mediaType: string, tag?: string): Promise<string> {
    const digest = digestOf(bytes);
    const put = await this.ask('PUT', `/v2/${this.name}/manifests/${tag ?? digest}`, { 'content-type': mediaType }, bytes);
    if (put.status !== 201) throw await problem(put);
    return digest;
  }

  private async ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}, body?: Uint8Array): Promise<Response> {
    const url = new URL(path, this.options.origin);
    const send = async (): Promise<Response> => {
      const authorization: Record<string, string> = this.authorization === undefined ? {} : { authorization: this.authorization };
      return fetch(url, { method, headers: { ...headers, ...authorization }, ...(body === undefined ? {} : { body: Buffer.from(body) }) });
    };
    const answer = await send();
    if (answer.status !== 401 || this.options.credentials === undefined) return answer;
    this.authorization = await this.authorize(answer.headers.get('www-authenticate') ?? '', this.options.credentials);
    return send();
  }

  private async authorize(challenge: string, { user, password }: Credentials): Promise<string> {
    const basic = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
    const parameters = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]));
    const realm = parameters.get('realm');
    if (!/^bearer /i.test(challenge) || realm === undefined) return basic;
    const url = new URL(realm);
    url.searchParams.set('service', parameters.get('service') ?? '');
    url.searchParams.set('scope', `repository:${this.name}:pull,push`);
    const answer = await fetch(url, { headers: { authorization: basic } });
    if (!answer.ok) throw await problem(answer);
    const { token, access_token: accessToken } = (await answer.json()) as { readonly token?: string; readonly access_token?: string };
    return `Bearer ${token ?? accessToken ?? ''}`;
  }
}

/** Long enough to tell what is wrong, and never a page of HTML. */
const MAX_PROBLEM_CHARACTERS = 300;

async function problem(answer: Response): Promise<RegistryError> {
  const text = (await answer.text()).slice(0, MAX_PROBLEM_CHARACTERS);
  return new RegistryError(answer.status, `${answer.url}: ${answer.status} ${answer.statusText} ${text}`.trim());
}
