// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { layerNames } from './description.ts';
import { dockerfileStages, keyValues } from './dockerfile.ts';
import { IMAGES } from './images.ts';

describe.each(IMAGES.map((image) => [image.name, image] as const))('the Dockerfile of %s', (name, image) => {
  const stages = dockerfileStages(readFileSync(join(import.meta.dirname, '..', name, 'Dockerfile'), 'utf8'));
  const last = stages.at(-1) ?? [];
  const only = (instruction: string): string[] => last.filter(({ name: found }) => found === instruction).map(({ text }) => text);

  it('starts from nothing and copies exactly the layers of the image, lowest first', () => {
    expect(only('FROM')).toEqual(['scratch']);
    expect(only('COPY')).toEqual(layerNames(image).map((_, index) => `--from=build /layers/${name}-\${TARGETARCH}/${index}/ /`));
  });

  it('builds those layers with the command that builds the archives', () => {
    const [build = []] = stages;
    expect(build.at(-1)).toEqual({ name: 'RUN', text: `npm run images -- ${name} --arch \${TARGETARCH} --unpack /layers` });
  });

  it('states the user, the entrypoint and the environment of the image', () => {
    expect(only('USER')).toEqual([image.user]);
    expect(only('ENTRYPOINT').map((text) => JSON.parse(text) as unknown)).toEqual([image.entrypoint]);
    expect(only('CMD')).toEqual(image.command === undefined ? [] : [JSON.stringify(image.command)]);
    expect(only('WORKDIR')).toEqual([image.workingDirectory ?? '/']);
    expect(keyValues(last, 'ENV')).toEqual(image.environment);
  });

  it('states its title and description', () => {
    expect(keyValues(last, 'LABEL')).toMatchObject({
      'org.opencontainers.image.title': image.title,
      'org.opencontainers.image.description': image.description,
      'org.opencontainers.image.licenses': 'Apache-2.0',
    });
  });
});

describe('reading Dockerfiles', () => {
  it('joins lines, drops comments, and splits stages', () => {
    expect(dockerfileStages('ARG A\nFROM x AS y\n# no\nrun a \\\n  && b\n\nFROM scratch\n')).toEqual([
      [
        { name: 'FROM', text: 'x AS y' },
        { name: 'RUN', text: 'a && b' },
      ],
      [{ name: 'FROM', text: 'scratch' }],
    ]);
  });

  it('refuses instructions without a stage', () => {
    expect(() => dockerfileStages('RUN x\nFROM y\n')).toThrow(RangeError);
  });
});
