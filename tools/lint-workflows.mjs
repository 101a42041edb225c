// SPDX-License-Identifier: Apache-2.0
/* `npm run lint:workflows`: actionlint over .github/workflows, and one rule of ours: a `run:` step is one npm script, so that it runs anywhere. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bootstrap, ROOT } from './bootstrap.mjs';

bootstrap();
// Only the pinned Node reads TypeScript.
const { buildGoTools, goTool } = await import('./go-tools.ts');
const { parse } = await import('yaml');
await buildGoTools(['actionlint'], (line) => console.error(line));
// Its checks of shell need shellcheck, and no step has any shell.
const { status } = spawnSync(goTool('actionlint', 'actionlint'), ['-shellcheck=', '-pyflakes='], { stdio: 'inherit', cwd: ROOT });

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
const directory = join(ROOT, '.github/workflows');
const problems = readdirSync(directory).flatMap((file) => {
  const { jobs } = parse(readFileSync(join(directory, file), 'utf8'));
  return Object.entries(jobs).flatMap(([job, { steps = [] }]) =>
    steps.flatMap(({ run }) => {
      if (run === undefined || run === 'npm ci') return [];
      // The end-to-end tests make network namespaces: as root, with the Node that was set up.
      const script = /^(?:sudo -E env "PATH=\$PATH" )?npm (?:test|run ([\w:-]+))(?: -- [^;&|\n]+)?$/.exec(run.trim());
      if (script === null) return [`${file}, ${job}: \`${run.trim()}\` is not one npm script`];
      return scripts[script[1] ?? 'test'] === undefined ? [`${file}, ${job}: there is no script ${script[1]}`] : [];
    }),
  );
});
for (const problem of problems) console.error(problem);
process.exit(status === 0 && problems.length === 0 ? 0 : 1);
