// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addEntry, type FileEdit, type PluginEntry, removeEntry } from '../index.ts';
import { NETWORK_SHAPES } from '../testing/network-shapes.ts';

const ENTRY: PluginEntry = { name: 'linkerd-cni', type: 'linkerd-cni', log_level: 'info', linkerd: { 'incoming-proxy-port': 4143 } };
const OLDER = '{"type":"linkerd-cni","log_level":"debug"}';
const NOBODY: ReadonlySet<string> = new Set();

function textOf(edit: FileEdit): string {
  if (edit.kind !== 'rewrite' && edit.kind !== 'replace') throw new Error(`nothing is written: ${JSON.stringify(edit)}`);
  return edit.text;
}
const typesOf = (text: string): string[] => (JSON.parse(text) as { plugins: { type: string }[] }).plugins.map(({ type }) => type);

/** Conflists in layouts that people write. */
const LISTS: [string, string][] = [
  ['compact', '{"cniVersion":"1.0.0","name":"x","plugins":[{"type":"bridge"},{"type":"portmap","capabilities":{"portMappings":true}}]}'],
  [
    'indented',
    '{\n  "name": "x",\n  "plugins": [\n    {\n      "type": "calico",\n      "mtu": 0\n    }\n  ],\n  "cniVersion": "0.3.1"\n}\n',
  ],
  ['with odd spaces', ' { "plugins" : [ { "type" : "a" } , { "type" : "b" } ] , "name":"x" }\r\n'],
  ['with quotes and brackets in texts', '{"plugins":[{"type":"a","note":"]},{\\"type\\":\\"\\\\"}],"name":"plugins"}'],
  ['with numbers that JavaScript cannot hold', '{"plugins":[{"type":"a","id":12345678901234567890,"ratio":1.0e0}]}'],
  ['with the key twice', '{"plugins":[],"name":"x","plugins":[{"type":"a"}]}'],
  ['with an escaped key', '{"plu\\u0067ins":[{"type":"a"}]}'],
];

describe('a conflist', () => {
  it.each(LISTS)('[NET-08] %s gets our entry last, and is the same to the byte without it', (_name, text) => {
    const added = textOf(addEntry('x.conflist', text, ENTRY, NOBODY));
    const before = (JSON.parse(text) as { plugins: unknown[] }).plugins;
    expect((JSON.parse(added) as { plugins: unknown[] }).plugins).toEqual([...before, ENTRY]);
    expect(addEntry('x.conflist', added, ENTRY, NOBODY)).toEqual({ kind: 'none' });
    expect(textOf(removeEntry(added, 'linkerd-cni'))).toBe(text);
    expect(removeEntry(text, 'linkerd-cni')).toEqual({ kind: 'none' });
  });

  it('[NET-08] gets a new entry in the place of an old one', () => {
    const text = `{"plugins":[{"type":"a"},${OLDER},{"type":"b"}]}`;
    expect(textOf(addEntry('x.conflist', text, ENTRY, NOBODY))).toBe(`{"plugins":[{"type":"a"},${JSON.stringify(ENTRY)},{"type":"b"}]}`);
  });

  it('keeps one of several entries, and loses them all at the end', () => {
    const text = `{"plugins":[${OLDER}, {"type":"a"},${OLDER},{"type":"b"}, ${OLDER}]}`;
    const added = textOf(addEntry('x.conflist', text, ENTRY, NOBODY));
    expect(typesOf(added)).toEqual(['linkerd-cni', 'a', 'b']);
    expect(typesOf(textOf(removeEntry(text, 'linkerd-cni')))).toEqual(['a', 'b']);
    expect(textOf(removeEntry(`{"plugins":[${OLDER}]}`, 'linkerd-cni'))).toBe('{"plugins":[]}');
  });

  it('comes back to the byte whatever others are in it', () => {
    const plugin = fc.dictionary(fc.string(), fc.jsonValue()).map((fields) => ({ ...fields, type: 'other' }));
    const space = fc.constantFrom('', ' ', '\n', '\t \r\n');
    fc.assert(
      fc.property(
        fc.array(plugin, { minLength: 1, maxLength: 4 }),
        fc.dictionary(fc.string(), fc.jsonValue()),
        space,
        fc.constantFrom(0, 2),
        (plugins, rest, around, indent) => {
          const text = around + JSON.stringify({ ...rest, plugins }, undefined, indent) + around;
          const added = textOf(addEntry('x.conflist', text, ENTRY, NOBODY));
          expect((JSON.parse(added) as { plugins: unknown[] }).plugins.at(-1)).toEqual(ENTRY);
          expect(textOf(removeEntry(added, 'linkerd-cni'))).toBe(text);
        },
      ),
    );
  });

  it('any text ends in an edit or in a reason', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.jsonValue().map((value) => JSON.stringify({ plugins: value })),
        ),
        (text) => {
          for (const edit of [
            addEntry('x.conflist', text, ENTRY, NOBODY),
            addEntry('x.conf', text, ENTRY, NOBODY),
            removeEntry(text, 'linkerd-cni'),
          ]) {
            const isSound = edit.kind === 'rewrite' || edit.kind === 'replace' ? JSON.parse(edit.text) !== undefined : true;
            expect(isSound).toBe(true);
          }
        },
      ),
    );
  });
});

describe('a single configuration', () => {
  const TEXT = '{\n  "cniVersion": "0.4.0", "name": "single",\n  "type": "ptp"\n}\n\n';

  it('[NET-08] becomes a conflist of its own name and version, and comes back to the byte', () => {
    const edit = addEntry('20-single.conf', TEXT, ENTRY, NOBODY);
    expect(edit).toMatchObject({ kind: 'replace', name: '20-single.conflist' });
    const list = JSON.parse(textOf(edit)) as Record<string, unknown>;
    expect(list).toMatchObject({ cniVersion: '0.4.0', name: 'single', plugins: [JSON.parse(TEXT), ENTRY] });
    expect(removeEntry(textOf(edit), 'linkerd-cni')).toEqual({ kind: 'replace', name: '20-single.conf', text: TEXT, keepsNewer: true });
  });

  it('[NET-08] gets name and version of the reference where it has none', () => {
    expect(JSON.parse(textOf(addEntry('x.conf', '{"type":"ptp"}', ENTRY, NOBODY)))).toMatchObject({
      cniVersion: '0.3.1',
      name: 'k8s-pod-network',
    });
  });

  it('never overwrites a conflist of somebody else', () => {
    expect(addEntry('x.conf', TEXT, ENTRY, new Set(['x.conf', 'x.conflist']))).toMatchObject({ name: 'x.conf-linkerd-cni.conflist' });
    // Which of them a runtime takes is decided by order, so it must not change.
    expect(['x.conflist', 'x.conf-linkerd-cni.conflist'].toSorted()[0]).toBe('x.conf-linkerd-cni.conflist');
  });

  it('stays a conflist when others have chained into it', () => {
    const added = textOf(addEntry('x.conf', TEXT, ENTRY, NOBODY));
    const other = textOf(addEntry('x.conflist', added, { type: 'other' }, NOBODY));
    expect(typesOf(textOf(removeEntry(other, 'linkerd-cni')))).toEqual(['ptp', 'other']);
  });

  it('does not write outside of its directory whatever a file says', () => {
    for (const origin of ['../x.conf', '/etc/passwd', 'x', '.conf']) {
      const text = JSON.stringify({ 'weft.dev/converted-from': origin, plugins: [{ type: 'a' }, ENTRY] });
      expect(removeEntry(text, 'linkerd-cni').kind).toBe('rewrite');
    }
  });
});

describe('[NET-12] a configuration in the shape of', () => {
  it.each(NETWORK_SHAPES.map((shape) => [shape.plugin, shape] as const))(
    '%s gets our entry last, keeps its own values and comes back to the byte',
    (_, shape) => {
      const added = addEntry(shape.file, shape.text, ENTRY, new Set([shape.file]));
      const file = shape.file.replace(/\.conf$/, '.conflist');
      expect(added).toMatchObject(file === shape.file ? { kind: 'rewrite' } : { kind: 'replace', name: file });
      const text = textOf(added);
      const before = JSON.parse(shape.text) as { plugins?: object[]; cniVersion: string; name: string; disableCheck?: boolean };
      const { cniVersion, name, disableCheck } = before;
      expect(JSON.parse(text)).toMatchObject({
        ...(disableCheck === undefined ? {} : { disableCheck }),
        cniVersion,
        name,
        plugins: [...(before.plugins ?? [before]), ENTRY],
      });
      expect(typesOf(text)).toEqual([...shape.types, 'linkerd-cni']);
      expect(addEntry(file, text, ENTRY, new Set([file]))).toEqual({ kind: 'none' });
      expect(textOf(removeEntry(text, 'linkerd-cni'))).toBe(shape.text);
    },
  );
});

const LEFT_ALONE: [string, string, string][] = [
  ['not JSON', 'x.conflist', '{"plugins": ['],
  ['half written', 'x.conflist', ''],
  ['no object', 'x.conflist', '[]'],
  ['without plugins', 'x.conflist', '{"name":"x"}'],
  ['with plugins that are no list', 'x.conflist', '{"plugins":{"type":"a"}}'],
  ['with an empty list', 'x.conflist', '{"plugins":[]}'],
  ['without a type', 'x.conf', '{"name":"x"}'],
  ['of our own type', 'x.conf', OLDER],
];
it.each(LEFT_ALONE)('a file that is %s is left alone, with the reason', (_name, file, text) => {
  expect(addEntry(file, text, ENTRY, NOBODY)).toMatchObject({ kind: 'problem', reason: expect.stringMatching(/\w/) });
});
