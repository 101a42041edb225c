// SPDX-License-Identifier: Apache-2.0
/*
 * The corpus of `testdata/corpus`: what each input means, byte by byte, and the split law: however a stream is cut, the same
 * events come of it.
 */
import { describe, expect, it } from 'vitest';
import { readCorpus } from './testdata/corpus.ts';
import { everyByte, printCutIndependent, printLog, runDecoder } from './testdata/event-log.ts';

/** Beyond this length not every cut is tried, only so many, evenly spread. */
const ALL_CUTS_BYTES = 2500;
const SPREAD_CUTS = 61;

const cases = readCorpus();

describe.each([...new Set(cases.map(({ file }) => file))])('[PROTO-07] %s', (file) => {
  it.each(cases.filter((one) => one.file === file))('$title', ({ setting, input, log }) => {
    const byteByByte = runDecoder(setting, input, everyByte(input.length)).events;
    expect(printLog(byteByByte)).toBe(log);

    const expected = printCutIndependent(byteByByte);
    expect(printCutIndependent(runDecoder(setting, input, []).events)).toBe(expected);
    const step = input.length <= ALL_CUTS_BYTES ? 1 : Math.ceil(input.length / SPREAD_CUTS);
    for (let cut = 1; cut < input.length; cut += step) {
      expect(printCutIndependent(runDecoder(setting, input, [cut]).events), `cut at ${cut}`).toBe(expected);
    }
  });
});

it('has a case for each error code of a peer', () => {
  const codes = new Set(cases.flatMap(({ log }) => log.match(/ERR_H1_[A-Z_]+/gu) ?? []));
  expect([...codes].sort()).toEqual([
    'ERR_H1_BOTH_FRAMINGS',
    'ERR_H1_CHUNK_DATA',
    'ERR_H1_CHUNK_EXTENSION_TOO_LARGE',
    'ERR_H1_CHUNK_SIZE',
    'ERR_H1_CONTENT_LENGTH',
    'ERR_H1_EOF',
    'ERR_H1_FIELD_NAME',
    'ERR_H1_FIELD_VALUE',
    'ERR_H1_HEAD_TOO_LARGE',
    'ERR_H1_HOST',
    'ERR_H1_LINE_TERMINATOR',
    'ERR_H1_METHOD',
    'ERR_H1_OBS_FOLD',
    'ERR_H1_START_LINE',
    'ERR_H1_START_LINE_TOO_LONG',
    'ERR_H1_STATUS',
    'ERR_H1_TARGET',
    'ERR_H1_TOO_MANY_FIELDS',
    'ERR_H1_TRAILER_TOO_LARGE',
    'ERR_H1_TRANSFER_ENCODING',
    'ERR_H1_VERSION',
  ]);
});
