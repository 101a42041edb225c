// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandFailure } from '../command-context.ts';
import { openApiRoutes } from './open-api.ts';
import { quoted, templateRegex } from './service-profile.ts';

const matches = (expression: string, path: string): boolean => new RegExp(`^(?:${expression})$`).test(path);
const routesOf = (description: object): ReturnType<typeof openApiRoutes> => openApiRoutes('api.json', JSON.stringify(description));

const SWAGGER = `swagger: '2.0'
basePath: /v1/
paths:
  /books:
    post:
      x-linkerd-timeout: 1m30s
      responses: { '201': { description: made }, '503': { description: busy }, default: { description: other } }
    get: { x-linkerd-retryable: true, responses: { 200: {} } }
  /books/{id}.json:
    parameters: [{ name: id, in: path, required: true, type: string }]
    delete: {}
`;

describe('[CLI-29] the routes of an OpenAPI description', () => {
  it('are one for each path and method, with its statuses, retries and timeout', () => {
    expect(openApiRoutes('api.yaml', SWAGGER)).toEqual([
      {
        name: 'GET /v1/books',
        condition: { method: 'GET', pathRegex: '/v1/books' },
        responseClasses: [{ condition: { status: { min: 200, max: 200 } } }],
        isRetryable: true,
      },
      {
        name: 'POST /v1/books',
        condition: { method: 'POST', pathRegex: '/v1/books' },
        responseClasses: [
          { condition: { status: { min: 201, max: 201 } } },
          { condition: { status: { min: 503, max: 503 } }, isFailure: true },
        ],
        timeout: '1m30s',
      },
      { name: 'DELETE /v1/books/{id}.json', condition: { method: 'DELETE', pathRegex: '/v1/books/[^/]*\\.json' } },
    ]);
  });

  it.each([
    ['https://api.example.com/v2', '/v2'],
    ['https://api.example.com', ''],
    ['//api.example.com/v2/', '//api.example.com/v2'.slice(1)],
    ['/v2?x=1', '/v2'],
    ['/', ''],
  ])('of OpenAPI 3 begin with the path of the server %s', (url, base) => {
    const paths = { '/a': { get: { responses: { '2XX': {}, '5xx': {} } } } };
    expect(routesOf({ openapi: '3.1.0', servers: [{ url }], paths })).toEqual([
      {
        name: `GET ${base}/a`,
        condition: { method: 'GET', pathRegex: quoted(`${base}/a`) },
        responseClasses: [
          { condition: { status: { min: 200, max: 299 } } },
          { condition: { status: { min: 500, max: 599 } }, isFailure: true },
        ],
      },
    ]);
  });

  it('put fixed segments before parameters, since the first route that matches counts', () => {
    const paths = { '/a/{id}': { get: {} }, '/a/list': { get: {} } };
    expect(routesOf({ openapi: '3.0.0', paths }).map(({ name }) => name)).toEqual(['GET /a/list', 'GET /a/{id}']);
  });

  it.each([
    ['no description', '{}', /neither "swagger" nor "openapi"/],
    ['a list', '[]', /is no object/],
    ['no YAML', 'a: [', /api\.yaml: /],
    ['paths that are a list', '{openapi: 3.0.0, paths: []}', /paths is no object/],
    ['an operation that is a text', '{openapi: 3.0.0, paths: {/a: {get: yes please}}}', /GET \/a is no object/],
    ['a timeout without a unit', '{openapi: 3.0.0, paths: {/a: {get: {x-linkerd-timeout: 10}}}}', /x-linkerd-timeout of GET \/a/],
    ['a retryable text', '{openapi: 3.0.0, paths: {/a: {get: {x-linkerd-retryable: "no"}}}}', /x-linkerd-retryable of GET \/a/],
    ['too many aliases', `a: &a [${'1,'.repeat(200)}]\nb: &b [${'*a,'.repeat(200)}]\nc: [${'*b,'.repeat(200)}]\n`, /api\.yaml: /],
    ['very deep nesting', '['.repeat(50_000), /api\.yaml: /],
  ])('are refused for %s, with the reason', (_name, text, reason) => {
    expect(() => openApiRoutes('api.yaml', text)).toThrow(CommandFailure);
    expect(() => openApiRoutes('api.yaml', text)).toThrow(reason);
  });
});

describe('[CLI-29] the expression of a path', () => {
  it.each([
    ['/a/{id}', '/a/7', true],
    ['/a/{id}', '/a/7/b', false],
    ['/a/{id}/b-{c}', '/a/7/b-8', true],
    ['/a.b', '/axb', false],
    ['/a+(b)', '/a+(b)', true],
    ['/a/{id', '/a/{id', true],
  ])('%s with %s: %s', (template, path, expected) => {
    expect(matches(templateRegex(template), path)).toBe(expected);
  });

  it('without parameters matches its own text and no other', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.string(), (path, other) => {
        expect(matches(quoted(path), path)).toBe(true);
        expect(matches(quoted(path), other)).toBe(other === path);
      }),
    );
  });
});
