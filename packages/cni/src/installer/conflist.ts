// SPDX-License-Identifier: Apache-2.0
/*
 * Our entry in other people's network configurations (proxy-contract §10.3): appended to a conflist or replaced in it, and a single
 * configuration turned into a conflist. Pure, and undone to the byte: what was there before comes back, unless others changed it
 * meanwhile; then only our entry goes.
 */
import { isDeepStrictEqual } from 'node:util';
import { elementSpans, memberSpan, withoutElement } from './json-text.ts';

/** Our entry; `type` is the plugin's name. */
export type PluginEntry = Readonly<Record<string, unknown>> & { readonly type: string };

/** What to do with a file. */
export type FileEdit =
  | { readonly kind: 'none' }
  /** New content under the same name. */
  | { readonly kind: 'rewrite'; readonly text: string }
  /** New content under another name; then the old file goes. `keepsNewer`: a file of that name that is there already is newer. */
  | { readonly kind: 'replace'; readonly name: string; readonly text: string; readonly keepsNewer: boolean }
  /** Not ours to touch, and why. */
  | { readonly kind: 'problem'; readonly reason: string };

/** Says in a conflist that it was a single configuration; it comes back when the entry goes. */
export const CONVERTED_FROM = 'weft.dev/converted-from';
/** What a single configuration is called when it says no name or version itself. */
const DEFAULT_NAME = 'k8s-pod-network';
const DEFAULT_VERSION = '0.3.1';

type JsonObject = Readonly<Record<string, unknown>>;

/** Whether a file of this name is a network configuration. */
export function isNetworkFile(name: string): boolean {
  return !name.startsWith('.') && /\.conf(list)?$/.test(name);
}

/** Puts the entry into the configuration `name`; `names` are all names in the directory. */
export function addEntry(name: string, text: string, entry: PluginEntry, names: ReadonlySet<string>): FileEdit {
  const root = parseObject(text);
  if (typeof root === 'string') return { kind: 'problem', reason: root };
  return name.endsWith('.conflist') ? addToList(text, root, entry) : convert(name, text, root, entry, names);
}

/** Takes every entry of this type out again. */
export function removeEntry(text: string, type: string): FileEdit {
  const root = parseObject(text);
  if (typeof root === 'string') return { kind: 'problem', reason: root };
  const plugins = root['plugins'];
  const span = memberSpan(text, 'plugins');
  if (!Array.isArray(plugins) || span === undefined) return { kind: 'none' };
  const ours = indexesOf(plugins, type);
  if (ours.length === 0) return { kind: 'none' };
  const origin = root[CONVERTED_FROM];
  if (typeof origin === 'string' && isNetworkFile(origin) && !origin.includes('/') && plugins.length === 2 && ours[0] === 1) {
    const [original] = elementSpans(text, span.start);
    const comma = text.indexOf(',', original?.end ?? 0);
    return { kind: 'replace', name: origin, text: text.slice(span.start + 1, comma), keepsNewer: true };
  }
  let edited = text;
  for (const index of ours.toReversed()) edited = withoutElement(edited, elementSpans(edited, span.start), index);
  return { kind: 'rewrite', text: edited };
}

/** Whether a conflist with our entry was made of the single configuration of that name. */
export function isConversionOf(text: string, name: string): boolean {
  const root = parseObject(text);
  return typeof root !== 'string' && root[CONVERTED_FROM] === name;
}

function addToList(text: string, root: JsonObject, entry: PluginEntry): FileEdit {
  const plugins = root['plugins'];
  const span = memberSpan(text, 'plugins');
  if (!Array.isArray(plugins) || span === undefined) return { kind: 'problem', reason: 'it has no list of plugins' };
  const spans = elementSpans(text, span.start);
  const last = spans.at(-1);
  if (last === undefined) return { kind: 'problem', reason: 'its list of plugins is empty' };
  const ours = indexesOf(plugins, entry.type);
  const [first, ...others] = ours;
  if (first === undefined) {
    return { kind: 'rewrite', text: `${text.slice(0, last.end)},${JSON.stringify(entry)}${text.slice(last.end)}` };
  }
  if (others.length === 0 && isDeepStrictEqual(plugins[first], entry)) return { kind: 'none' };
  let edited = text;
  for (const index of others.toReversed()) edited = withoutElement(edited, elementSpans(edited, span.start), index);
  const kept = spans[first] ?? last;
  return { kind: 'rewrite', text: `${edited.slice(0, kept.start)}${JSON.stringify(entry)}${edited.slice(kept.end)}` };
}

function convert(name: string, text: string, root: JsonObject, entry: PluginEntry, names: ReadonlySet<string>): FileEdit {
  if (typeof root['type'] !== 'string' || root['type'] === '') return { kind: 'problem', reason: 'it names no plugin' };
  if (root['type'] === entry.type) return { kind: 'problem', reason: 'it is nothing but our own entry' };
  const head = {
    cniVersion: textOr(root['cniVersion'], DEFAULT_VERSION),
    name: textOr(root['name'], DEFAULT_NAME),
    [CONVERTED_FROM]: name,
  };
  return {
    kind: 'replace',
    keepsNewer: false,
    // Directly after the name of the file itself, so that which network is chosen does not change; never over somebody else's file.
    name: names.has(`${name}list`) ? `${name}-${entry.type}.conflist` : `${name}list`,
    text: `${JSON.stringify(head).slice(0, -1)},"plugins":[${text},${JSON.stringify(entry)}]}\n`,
  };
}

function indexesOf(plugins: readonly unknown[], type: string): number[] {
  return plugins.flatMap((plugin, index) => (isObject(plugin) && plugin['type'] === type ? [index] : []));
}

function textOr(value: unknown, fallback: string): string {
  return typeof value === 'string' && value !== '' ? value : fallback;
}

/** The object that a text is, or why it is none. */
function parseObject(text: string): JsonObject | string {
  try {
    const root: unknown = JSON.parse(text);
    return isObject(root) ? root : 'it is not a JSON object';
  } catch (error) {
    return `it is not JSON: ${(error as Error).message}`;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
