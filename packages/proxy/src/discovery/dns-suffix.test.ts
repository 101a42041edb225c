// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { hasSuffix } from './dns-suffix.ts';

describe('a name', () => {
  it.each<[string, readonly string[], boolean]>([
    ['svc.ns.svc.cluster.local', ['svc.cluster.local.'], true],
    ['svc.ns.SVC.cluster.local.', ['svc.cluster.local'], true],
    ['svc.cluster.local', ['svc.cluster.local.'], true],
    ['evilsvc.cluster.local', ['svc.cluster.local.'], false],
    ['example.com', ['svc.cluster.local.', 'com.'], true],
    ['example.com', ['.'], true],
    ['example.com', [], false],
  ])('%s with suffixes %j: %s', (name, suffixes, expected) => {
    expect(hasSuffix(name, suffixes)).toBe(expected);
  });
});
