// SPDX-License-Identifier: Apache-2.0
/*
 * What an admission webhook is asked and answers (Kubernetes admission.k8s.io/v1; v1beta1 has the same fields), and where the server's
 * certificate comes from (control-contract §4.1). Every field of a request is what a client of the API server wrote: nothing in it is
 * checked beyond its JSON type.
 */

/** Group, version and kind; `group` is '' for the core API. */
export interface AdmissionKind {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** Group, version and plural. */
export interface AdmissionResource {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
}

/** Who wrote the object. */
export interface AdmissionUser {
  readonly username: string;
  readonly groups: readonly string[];
}

/** One question of the API server. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly kind: AdmissionKind;
  readonly resource: AdmissionResource;
  readonly subResource?: string;
  /** Absent where the API server is still to generate it. */
  readonly name?: string;
  /** Absent for cluster-scoped objects. */
  readonly namespace?: string;
  /** CREATE, UPDATE, DELETE or CONNECT. */
  readonly operation: string;
  /** The object as it is to be stored; null for DELETE. Unchecked JSON. */
  readonly object: unknown;
  /** The object as it is stored; null for CREATE. Unchecked JSON. */
  readonly oldObject: unknown;
  readonly dryRun: boolean;
  readonly userInfo: AdmissionUser;
}

/** One operation of a JSON patch (RFC 6902), as far as webhooks here use it. `path` is a JSON pointer (RFC 6901). */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** What to tell the API server. */
export interface AdmissionAnswer {
  readonly allowed: boolean;
  /** Shown to whoever wrote the object, where it is not allowed. */
  readonly message?: string;
  /** HTTP status of the refusal that the client sees. Without it the API server says 400. */
  readonly code?: number;
  /** Shown to whoever wrote the object, allowed or not; kubectl prints them. */
  readonly warnings?: readonly string[];
  /** Changes to the object; an empty list is the same as none. */
  readonly patch?: readonly JsonPatchOperation[];
}

/** Answers one question. A throw becomes a refusal with the error's message. */
export type Review = (request: AdmissionRequest) => AdmissionAnswer | Promise<AdmissionAnswer>;

/** A certificate chain and its key, as `node:tls` takes them. */
export interface ServerCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

/** Where the server's certificate comes from. It has to be closed by whoever made it. */
export interface CertificateSource {
  /** The certificate to serve with; undefined until one was loaded. */
  readonly current: ServerCertificate | undefined;
  /** Resolves when the first certificate is there. Never rejects. */
  readonly loaded: Promise<void>;
  /** Calls back after each change of `current`, until the returned function is called. */
  onChange(listener: (certificate: ServerCertificate) => void): () => void;
  close(): void;
}
