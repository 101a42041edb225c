// SPDX-License-Identifier: Apache-2.0
/*
 * The manifests of a directory and the store that they are applied to. A file counts as a whole: when any of its objects cannot be taken,
 * what it last said stays in force and the fault is reported, until the file is repaired. Edits are applied server-side by a field
 * manager of their own, so uid, age, status and the fields that others have written survive them. No I/O: texts come in, problems go out.
 */
import { isResourceError } from '../errors.ts';
import { copyJson, equalJson, isJsonObject } from '../json-values.ts';
import type { JsonObject } from '../json-values.ts';
import { parseApiVersion } from '../kinds/registry.ts';
import type { ObjectStore } from '../store/object-store.ts';
import type { Gvk, ResourceInput } from '../types.ts';
import { parseManifests } from './manifest-text.ts';
import type { Manifest } from './manifest-text.ts';

/** Field manager of what files say. */
export const FILE_MANAGER = 'weft-files';
const STATUS_MANAGER = 'weft-files-status';

/** Why a file, or one object in it, is not in force. */
export interface ManifestProblem {
  /** Relative to the directory. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly reason: string;
  /** `Kind namespace/name`, where the fault is in one object. */
  readonly object?: string;
}

/** An object of a file as it is applied. */
interface Claim {
  readonly key: string;
  readonly gvk: Gvk;
  readonly input: ResourceInput;
  readonly status: unknown;
  readonly creationTimestamp: string | undefined;
  readonly manifest: Manifest;
}

interface FileState {
  text: string;
  /** In force. */
  claims: readonly Claim[];
  /** What the text says, when it is not in force. */
  pending: readonly Claim[] | undefined;
  problems: readonly ManifestProblem[];
}

/** What one round of changes led to. */
export interface ManifestReport {
  /** Faults that are new, or whose text has changed. */
  readonly problems: readonly ManifestProblem[];
  /** Files that had faults and have none now (gone ones too). */
  readonly healed: readonly string[];
}

/** Kinds before those that refer to them as owners; all others in between. */
const EARLY_KINDS = [
  'Namespace',
  'Node',
  'ServiceAccount',
  'CronJob',
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'Service',
];
const LATE_KINDS = ['Pod', 'Endpoints', 'EndpointSlice'];

function rank(kind: string): number {
  const early = EARLY_KINDS.indexOf(kind);
  if (early >= 0) return early - EARLY_KINDS.length;
  return LATE_KINDS.indexOf(kind) + 1;
}

/** What a server sets itself, and what a file therefore cannot. */
const SERVER_FIELDS = ['uid', 'resourceVersion', 'generation', 'creationTimestamp', 'deletionTimestamp', 'managedFields', 'selfLink'];

/** The files of a directory, applied to a store. */
export class ManifestSet {
  private readonly store: ObjectStore;
  private readonly keptNamespaces: ReadonlySet<string>;
  private readonly files = new Map<string, FileState>();
  /** What is applied, by object. */
  private readonly applied = new Map<string, Claim>();

  /** `keptNamespaces` stay when their last manifest goes. */
  constructor(store: ObjectStore, keptNamespaces: readonly string[]) {
    this.store = store;
    this.keptNamespaces = new Set(keptNamespaces);
  }

  /** Faults that stand. */
  get problems(): readonly ManifestProblem[] {
    return [...this.files.values()].flatMap(({ problems }) => problems);
  }

  /** Takes the new texts of files, undefined for one that is gone, and applies what can be taken. */
  update(texts: ReadonlyMap<string, string | undefined>): ManifestReport {
    const before = new Map([...this.files].map(([file, { problems }]) => [file, problems]));
    for (const [file, text] of texts) this.read(file, text);
    this.settle();
    this.applyAll();
    return this.report(before);
  }

  private read(file: string, text: string | undefined): void {
    const state = this.files.get(file);
    if (text === undefined) {
      this.files.delete(file);
      return;
    }
    if (state?.text === text) return;
    const parsed = parseManifests(text);
    const next: FileState = { text, claims: state?.claims ?? [], pending: undefined, problems: [] };
    this.files.set(file, next);
    if ('fault' in parsed) {
      next.problems = [{ file, ...parsed.fault }];
      return;
    }
    const problems: ManifestProblem[] = [];
    const claims: Claim[] = [];
    for (const manifest of parsed.manifests) {
      const claim = this.claim(file, manifest);
      if ('key' in claim) claims.push(claim);
      else problems.push(claim);
    }
    if (problems.length > 0) next.problems = problems;
    else next.pending = claims;
  }

  private claim(file: string, manifest: Manifest): Claim | ManifestProblem {
    const { apiVersion, kind, metadata, status, ...rest } = manifest.object;
    if (typeof apiVersion !== 'string' || typeof kind !== 'string') {
      return { file, line: manifest.lineOf(''), reason: 'a manifest needs apiVersion and kind' };
    }
    const gvk = { ...parseApiVersion(apiVersion), kind };
    const type = this.store.find(gvk);
    if (type === undefined) {
      return { file, line: manifest.lineOf('kind'), reason: `no matches for kind "${kind}" in version "${apiVersion}"`, object: kind };
    }
    const given = isJsonObject(metadata) ? metadata : {};
    const written = Object.fromEntries(Object.entries(given).filter(([field]) => !SERVER_FIELDS.includes(field)));
    if (type.isNamespaced && (written['namespace'] ?? '') === '') written['namespace'] = 'default';
    const { name, namespace = '' } = written as { name?: unknown; namespace?: unknown };
    if (typeof name !== 'string') return { file, line: manifest.lineOf('metadata'), reason: 'metadata.name: Required value', object: kind };
    const hasStatus = type.versions.get(gvk.version)?.hasStatus === true;
    const { creationTimestamp } = given;
    return {
      key: `${type.group}/${kind} ${String(namespace)}/${name}`,
      gvk,
      input: {
        apiVersion,
        kind,
        metadata: written,
        ...rest,
        ...(hasStatus || status === undefined ? {} : { status }),
      } as unknown as ResourceInput,
      status: hasStatus ? status : undefined,
      creationTimestamp: typeof creationTimestamp === 'string' ? creationTimestamp : undefined,
      manifest,
    };
  }

  /** Puts pending files in force, as many as can be: one file may wait for another to give up an object. */
  private settle(): void {
    const pending = new Map([...this.files].filter(([, state]) => state.pending !== undefined));
    for (let isMoving = true; isMoving;) {
      isMoving = false;
      for (const [file, state] of [...pending].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const claims = state.pending ?? [];
        const problems = this.faultsOf(file, claims);
        state.problems = problems;
        if (problems.length > 0) continue;
        state.claims = claims;
        state.pending = undefined;
        pending.delete(file);
        isMoving = true;
      }
    }
  }

  private faultsOf(file: string, claims: readonly Claim[]): readonly ManifestProblem[] {
    const owners = new Map<string, string>();
    for (const [other, state] of this.files) {
      if (other !== file) for (const { key } of state.claims) owners.set(key, other);
    }
    const problems: ManifestProblem[] = [];
    for (const claim of claims) {
      const owner = owners.get(claim.key);
      if (owner !== undefined) {
        problems.push(problemAt(file, claim, 'metadata.name', owner === file ? 'defined twice in this file' : `also defined in ${owner}`));
      }
      owners.set(claim.key, file);
      problems.push(...this.refusals(file, claim));
    }
    return problems;
  }

  private refusals(file: string, claim: Claim): readonly ManifestProblem[] {
    try {
      this.store.apply(claim.gvk, this.resolveOwners(claim.input), FILE_MANAGER, { isDryRun: true });
      if (claim.status !== undefined) this.store.seed({ ...claim.input, status: claim.status }, { isDryRun: true });
      return [];
    } catch (error) {
      if (!isResourceError(error)) throw error;
      if (error.causes.length === 0) return [problemAt(file, claim, '', error.message)];
      return error.causes.map(({ path, message }) => problemAt(file, claim, path, `${path}: ${message}`));
    }
  }

  /** Brings the store to what the files in force say: creations and changes first, so that no replacement leaves a gap. */
  private applyAll(): void {
    const wanted = new Map<string, Claim>();
    for (const { claims } of this.files.values()) for (const claim of claims) wanted.set(claim.key, claim);
    for (const claim of [...wanted.values()].sort((a, b) => rank(a.gvk.kind) - rank(b.gvk.kind))) this.apply(claim);
    for (const [key, claim] of [...this.applied].reverse()) {
      if (wanted.has(key)) continue;
      this.applied.delete(key);
      this.withdraw(claim, wanted);
    }
  }

  private apply(claim: Claim): void {
    const old = this.applied.get(claim.key);
    if (old === claim) return;
    // An unchanged object is not applied again: what others have changed since, or deleted, stays so until its manifest is edited.
    if (old === undefined || !equalJson(old.input, claim.input) || old.gvk.version !== claim.gvk.version) {
      const { creationTimestamp } = claim;
      this.store.apply(
        claim.gvk,
        this.resolveOwners(claim.input),
        FILE_MANAGER,
        creationTimestamp === undefined ? {} : { creationTimestamp },
      );
    }
    const isGone = !this.store.has(claim.gvk, claim.input.metadata.namespace ?? '', claim.input.metadata.name);
    if (claim.status !== undefined && !isGone && !equalJson(old?.status, claim.status)) {
      this.store.applyStatus(claim.gvk, { ...claim.input, status: claim.status }, STATUS_MANAGER);
    }
    this.applied.set(claim.key, claim);
  }

  private withdraw({ gvk, input }: Claim, wanted: ReadonlyMap<string, Claim>): void {
    const { name, namespace = '' } = input.metadata;
    if (!this.store.has(gvk, namespace, name)) return;
    const isInUse = this.keptNamespaces.has(name) || [...wanted.values()].some((claim) => claim.input.metadata.namespace === name);
    if (gvk.kind === 'Namespace' && isInUse) {
      this.store.apply(gvk, { apiVersion: input.apiVersion, kind: input.kind, metadata: { name } }, FILE_MANAGER);
      return;
    }
    this.store.delete(gvk, namespace, name);
  }

  /** Owners may be named without their uid, which a file cannot know. */
  private resolveOwners(input: ResourceInput): ResourceInput {
    const owners = input.metadata.ownerReferences;
    // What is no list of objects is refused by the store.
    if (!Array.isArray(owners) || !owners.every((owner) => isJsonObject(owner))) return input;
    const resolved = copyJson(owners).map((owner: JsonObject) => {
      if (typeof owner['uid'] === 'string' && owner['uid'] !== '') return owner;
      const gvk = { ...parseApiVersion(String(owner['apiVersion'])), kind: String(owner['kind']) };
      const namespace = this.store.find(gvk)?.isNamespaced === true ? (input.metadata.namespace ?? '') : '';
      const name = String(owner['name']);
      return { ...owner, uid: this.store.has(gvk, namespace, name) ? this.store.get(gvk, namespace, name).metadata.uid : '' };
    });
    return { ...input, metadata: { ...input.metadata, ownerReferences: resolved as never } };
  }

  private report(before: ReadonlyMap<string, readonly ManifestProblem[]>): ManifestReport {
    const problems: ManifestProblem[] = [];
    for (const [file, state] of this.files) {
      if (!equalJson(before.get(file) ?? [], state.problems)) problems.push(...state.problems);
    }
    const healed = [...before].filter(([file, old]) => old.length > 0 && (this.files.get(file)?.problems.length ?? 0) === 0);
    return { problems, healed: healed.map(([file]) => file) };
  }
}

function problemAt(file: string, claim: Claim, path: string, reason: string): ManifestProblem {
  const { name, namespace = '' } = claim.input.metadata;
  return { file, line: claim.manifest.lineOf(path), reason, object: `${claim.gvk.kind} ${namespace === '' ? '' : `${namespace}/`}${name}` };
}
