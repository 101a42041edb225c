// SPDX-License-Identifier: Apache-2.0
// Tiers and cycles (docs/architecture.md): a package imports from its own tier or an earlier one, never in a circle.
import { readFileSync, readdirSync } from 'node:fs';

const TIERS = ['wire', 'policy', 'runtime', 'capability', 'test', 'app'];

/** Package folder → tier, read from each package.json. */
function packagesOf(tier) {
  const names = [];
  for (const root of ['packages', 'apps']) {
    for (const name of readdirSync(root)) {
      let manifest;
      try {
        manifest = JSON.parse(readFileSync(`${root}/${name}/package.json`, 'utf8'));
      } catch {
        continue;
      }
      if (manifest.weft?.tier === undefined) throw new Error(`${root}/${name}/package.json has no weft.tier`);
      if (!TIERS.includes(manifest.weft.tier)) throw new Error(`${root}/${name}: unknown tier ${manifest.weft.tier}`);
      if (manifest.weft.tier === tier) names.push(`${root}/${name}`);
    }
  }
  return names;
}

const pathOf = (tier) => packagesOf(tier).map((name) => `^${name}/src/`);
const laterThan = (tier) => TIERS.slice(TIERS.indexOf(tier) + 1).flatMap(pathOf);
const isTest = '(\\.test\\.ts$|/testing(\\.ts|/)|/testdata/|/bench/|/conformance\\.ts$|fixture)';

export default {
  forbidden: [
    ...TIERS.filter((tier) => tier !== 'test' && laterThan(tier).length > 0 && pathOf(tier).length > 0).map((tier) => ({
      name: `tier-${tier}`,
      comment: `a ${tier} package may import ${TIERS.slice(0, TIERS.indexOf(tier) + 1).join(', ')} only`,
      severity: 'error',
      from: { path: pathOf(tier), pathNot: isTest },
      to: { path: laterThan(tier) },
    })),
    {
      name: 'no-cycles',
      severity: 'error',
      from: { pathNot: '/gen/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'wire-is-pure',
      comment: 'wire packages know bytes and nothing of Node but node:buffer',
      severity: 'error',
      from: { path: pathOf('wire'), pathNot: isTest },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?buffer$' },
    },
    {
      name: 'policy-is-pure',
      comment: 'policy packages take clock and randomness as parameters and touch no Node API',
      severity: 'error',
      from: { path: pathOf('policy'), pathNot: isTest },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?(buffer|net)$' },
    },
    {
      name: 'no-testkit-in-products',
      severity: 'error',
      from: { path: '^(packages|apps)/', pathNot: ['^packages/testkit/', isTest] },
      to: { path: '^packages/testkit/' },
    },
    {
      name: 'lean-proxy',
      comment: 'the proxy imports neither grpc-js, node:http, node:http2 nor node-forge (docs/architecture.md)',
      severity: 'error',
      from: { path: '^packages/(proxy|net|http1|http2|detect|routing|balance|authz|bytes)/src/', pathNot: isTest },
      to: { path: ['^(node:)?https?$', '^(node:)?http2$', 'node_modules/(@grpc/grpc-js|node-forge|prom-client)/'] },
    },
    {
      name: 'undeclared',
      severity: 'error',
      from: { path: '^(packages|apps)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|gen)/' },
    tsPreCompilationDeps: true,
    parser: 'swc',
    enhancedResolveOptions: {
      conditionNames: ['weft-source', 'import', 'node', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.js', '.mjs', '.json'],
    },
  },
};
