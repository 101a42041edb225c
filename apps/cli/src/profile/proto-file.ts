// SPDX-License-Identifier: Apache-2.0
/*
 * Routes from a protobuf file (features CLI-29): one for each method of each service, `POST /package.Service/Method` as gRPC calls it. Reads of
 * the language (protobuf.com, language specification) what this needs: comments, strings, blocks, `package`, `service` and `rpc`.
 */
import type { ProfileRoute } from '@weft/resources';
import { CommandFailure } from '../command-context.ts';
import { quoted } from './service-profile.ts';

/** Comments and blanks, strings, dotted names, and single characters. */
const TOKEN = /(?:\s+|\/\/[^\n]*|\/\*[^]*?\*\/)+|("(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_][\w.]*|[^])/y;

/** The routes, in the order of the file. Throws CommandFailure that names the file where its blocks or comments do not end. */
export function protoRoutes(file: string, text: string): ProfileRoute[] {
  const tokens = tokensOf(text);
  const routes: ProfileRoute[] = [];
  let packageName = '';
  let service: string | undefined;
  let depth = 0;
  let startsStatement = true;
  for (const [index, token] of tokens.entries()) {
    const next = tokens[index + 1] ?? '';
    if (startsStatement && depth === 0 && token === 'package') packageName = next;
    else if (startsStatement && depth === 0 && token === 'service') service = next;
    else if (startsStatement && depth === 1 && token === 'rpc' && service !== undefined) routes.push(route(packageName, service, next));
    if (token === '{') depth += 1;
    if (token === '}') {
      depth -= 1;
      if (depth === 0) service = undefined;
      if (depth < 0) throw new CommandFailure(`${file}: a } closes nothing`);
    }
    if (token === '/' && next === '*') throw new CommandFailure(`${file}: a comment does not end`);
    startsStatement = token === ';' || token === '{' || token === '}';
  }
  if (depth > 0) throw new CommandFailure(`${file}: a { is not closed`);
  return routes;
}

function tokensOf(text: string): string[] {
  return [...text.matchAll(new RegExp(TOKEN, 'gy'))].flatMap(([, token]) => (token === undefined ? [] : [token]));
}

function route(packageName: string, service: string, method: string): ProfileRoute {
  const path = `/${packageName === '' ? '' : `${packageName}.`}${service}/${method}`;
  return { name: method, condition: { method: 'POST', pathRegex: quoted(path) } };
}
