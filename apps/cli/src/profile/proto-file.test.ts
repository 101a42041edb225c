// SPDX-License-Identifier: Apache-2.0
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CommandFailure } from '../command-context.ts';
import { protoRoutes } from './proto-file.ts';

const PROTO = `syntax = "proto3";
/* service Not { rpc This(A) returns (A); } */
package shop.v1; // service Nor { rpc That(A) returns (A); }
import "google/protobuf/empty.proto";
option go_package = "x; service In { rpc Text(A) returns (A); }";
message A {
  string service = 1; // rpc
  message rpc { string rpc = 1; }
  rpc inner = 2;
}
service Books {
  option deprecated = true;
  rpc Get(A) returns (A);
  rpc List (A) returns (stream A) {
    option (google.api.http) = { get: "/v1/{name=books/*}" body: 'rpc' };
  }
}
service Orders{rpc Get(A)returns(A){}}
`;

const routes = (text: string): readonly (readonly [string, string | undefined])[] =>
  protoRoutes('shop.proto', text).map(({ name, condition }) => [name, condition.pathRegex]);

/** Whether a text ends as it should: in routes with paths, or in a reason. */
function soundness(text: string): boolean {
  try {
    return routes(text).every(([, path]) => path?.startsWith('/'));
  } catch (error) {
    return error instanceof CommandFailure;
  }
}

describe('[CLI-29] the routes of a protobuf file', () => {
  it('are the methods of its services, and nothing of comments, texts and messages', () => {
    expect(routes(PROTO)).toEqual([
      ['Get', '/shop\\.v1\\.Books/Get'],
      ['List', '/shop\\.v1\\.Books/List'],
      ['Get', '/shop\\.v1\\.Orders/Get'],
    ]);
    expect(protoRoutes('shop.proto', PROTO).every(({ condition }) => condition.method === 'POST')).toBe(true);
  });

  it('have no package in front where the file names none', () => {
    expect(routes('service S { rpc M(A) returns (A); }')).toEqual([['M', '/S/M']]);
  });

  it('take the package wherever it stands before them', () => {
    expect(routes('import "x.proto";package\n a.b ;service S{rpc M(A) returns (A);}')).toEqual([['M', '/a\\.b\\.S/M']]);
  });

  it.each([
    ['an open block', 'service S { rpc M(A) returns (A);', /\{ is not closed/],
    ['a block too many', 'service S { } }', /closes nothing/],
    ['an open comment', 'package a; /* service S {}', /comment does not end/],
  ])('are refused for %s', (_name, text, reason) => {
    expect(() => protoRoutes('shop.proto', text)).toThrow(reason);
  });

  it('of any text are routes or a reason', () => {
    const word = fc.constantFrom('service', 'rpc', '{', '}', ';', '"', '/*', '*/', '//', '\n', ' ', 'A', '(', 'package', "'", '\\');
    fc.assert(
      fc.property(
        fc.array(word).map((words) => words.join(' ')),
        (text) => {
          expect(soundness(text)).toBe(true);
        },
      ),
    );
  });
});
