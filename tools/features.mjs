// SPDX-License-Identifier: Apache-2.0
/*
 * docs/features.md: one row per feature ID, from three sources: docs/feature-ids.json (the IDs and names), docs/feature-states.json (what
 * we claim and how we differ), and the JSON reports of the test runs (which passed test carries the ID in its title).
 *
 *   node tools/features.mjs --write    makes the page anew from the reports in reports/
 *   node tools/features.mjs --check    fails where the page and the reports disagree
 *
 * A row may only say `done` or `partial` if a test whose title carries `[ID]` ran and passed in the reports at hand.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PAGE = 'docs/features.md';
const STATES = new Set(['done', 'partial']);
const ids = JSON.parse(readFileSync('docs/feature-ids.json', 'utf8'));
const states = JSON.parse(readFileSync('docs/feature-states.json', 'utf8'));
const isCheck = process.argv.includes('--check');
const problems = [];

/** ID → names of passed tests, and of tests that did not pass. */
const passed = new Map();
const other = new Map();
const reports = existsSync('reports') ? readdirSync('reports').filter((name) => name.endsWith('.json')) : [];
if (reports.length === 0) {
  console.error('features: no reports in reports/; run `npm test` first');
  process.exit(1);
}
for (const name of reports) {
  const report = JSON.parse(readFileSync(join('reports', name), 'utf8'));
  for (const file of report.testResults ?? []) {
    for (const test of file.assertionResults ?? []) {
      for (const [, list] of test.fullName.matchAll(/\[([A-Z]{2,6}-\d+(?:[ ,]+[A-Z]{2,6}-\d+)*)\]/g)) {
        for (const id of list.split(/[ ,]+/)) {
          const into = test.status === 'passed' ? passed : other;
          into.set(id, [...(into.get(id) ?? []), { title: test.title.replace(/\[[A-Z0-9, -]+\]\s*/g, ''), file: relative(file.name) }]);
        }
      }
    }
  }
}

function relative(path) {
  return path.replace(`${process.cwd()}/`, '');
}

const known = new Set(ids.map(({ id }) => id));
for (const id of [...passed.keys(), ...other.keys(), ...Object.keys(states)])
  if (!known.has(id)) problems.push(`${id}: no such feature ID`);

const counts = { done: 0, partial: 0, missing: 0 };
const rows = ids.map(({ id, name }) => {
  const claim = states[id] ?? { state: 'missing', differs: '' };
  if (claim.state !== 'missing' && !STATES.has(claim.state)) problems.push(`${id}: state ${claim.state} is none of done, partial, missing`);
  const tests = passed.get(id) ?? [];
  if (STATES.has(claim.state) && tests.length === 0)
    problems.push(`${id}: is ${claim.state}, but no passed test carries [${id}] in its title`);
  if (STATES.has(claim.state) && other.has(id))
    problems.push(`${id}: is ${claim.state}, but a test that carries it did not pass: ${other.get(id)[0].title}`);
  counts[claim.state] += 1;
  // An end-to-end proof says more than a unit test does, so it is the one shown.
  const proof = [...tests].sort(
    (a, b) => Number(b.file.startsWith('e2e/')) - Number(a.file.startsWith('e2e/')) || (a.file + a.title < b.file + b.title ? -1 : 1),
  )[0];
  const shown = claim.state === 'missing' || proof === undefined ? '' : `${cell(proof.title)} (\`${proof.file}\`)`;
  return `| ${id} | ${cell(name)} | ${claim.state} | ${shown} | ${cell(claim.differs ?? '')} |`;
});

function cell(text) {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

const page = `# Features

Made by \`node tools/features.mjs --write\`; \`--check\` compares it with the reports of a test run. IDs are those of the feature list that the
project satisfies. *done*: built and proved; *partial*: what is there is proved, the last column says what is not; *missing*: not built yet.

${counts.done} done, ${counts.partial} partial, ${counts.missing} missing.

| ID | feature | state | proved by | differs from the reference, or lacks |
|---|---|---|---|---|
${rows.join('\n')}
`;

if (isCheck) {
  if (!existsSync(PAGE) || readFileSync(PAGE, 'utf8') !== page)
    problems.push(`${PAGE} is not what the reports give; run \`node tools/features.mjs --write\``);
} else {
  writeFileSync(PAGE, page);
}
for (const problem of problems) console.error(`features: ${problem}`);
console.log(`features: ${counts.done} done, ${counts.partial} partial, ${counts.missing} missing, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
