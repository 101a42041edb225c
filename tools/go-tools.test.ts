// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { cacheDirectory } from './cache.ts';
import { buildGoTools, GO_TOOL_SETS, goTool, goToolDirectory, goToolVersion, missingGoTools } from './go-tools.ts';

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'go-tools-'));
  vi.stubEnv('WEFT_CACHE', home);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(home, { recursive: true, force: true });
});

const ignore = (): void => {};

describe('the cache of foreign programs', () => {
  it.each([
    [{ WEFT_CACHE: '/w', XDG_CACHE_HOME: '/x', HOME: '/h' }, '/w'],
    [{ WEFT_CACHE: '', XDG_CACHE_HOME: '/x', HOME: '/h' }, '/x/weft'],
    [{ WEFT_CACHE: '', XDG_CACHE_HOME: '', HOME: '/h' }, '/h/.cache/weft'],
  ])('is, with %j, %s', (environment, expected) => {
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    expect(cacheDirectory()).toBe(expected);
  });

  it('keeps each set under the version that its go.mod pins', () => {
    for (const set of GO_TOOL_SETS) {
      expect(goToolVersion(set)).toMatch(/^v\d+\.\d+\.\d+$/);
      expect(goToolDirectory(set)).toBe(join(home, `${set}-${goToolVersion(set)}`));
    }
    expect(() => goTool('helm', 'kubectl')).toThrow('helm has no binary kubectl');
  });

  it('takes what an interrupted build left for missing, and builds nothing that is there', async () => {
    const binary = goTool('actionlint', 'actionlint');
    mkdirSync(goToolDirectory('actionlint'), { recursive: true });
    writeFileSync(join(goToolDirectory('actionlint'), '.actionlint.123'), 'half');
    expect(missingGoTools(['actionlint'])).toEqual([binary]);
    writeFileSync(binary, 'whole');
    expect(missingGoTools(['actionlint'])).toEqual([]);
    await buildGoTools(['actionlint'], ignore);
    expect(readdirSync(goToolDirectory('actionlint'))).toContain('actionlint');
  });

  it('leaves nothing behind of a build that fails', async () => {
    // No module can be fetched, and none is in this cache.
    for (const [name, value] of Object.entries({ GOPROXY: 'off', GOMODCACHE: join(home, 'mod'), GOCACHE: join(home, 'build') }))
      vi.stubEnv(name, value);
    vi.stubEnv('GOSUMDB', 'off');
    await expect(buildGoTools(['actionlint'], ignore)).rejects.toThrow('Command failed');
    expect(existsSync(goTool('actionlint', 'actionlint'))).toBe(false);
    expect(readdirSync(goToolDirectory('actionlint'))).toEqual([]);
  });
});
