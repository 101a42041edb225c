// SPDX-License-Identifier: Apache-2.0
/*
 * Routes from an OpenAPI description (features CLI-29), Swagger 2.0 or OpenAPI 3: one for each path and method, with the statuses that the
 * description names, those from 500 on being failures. `x-linkerd-retryable` and `x-linkerd-timeout` of an operation say more.
 */
import { goDurationMs } from '@weft/kube-text';
import type { ProfileRoute } from '@weft/resources';
import { parseDocument } from 'yaml';
import { CommandFailure } from '../command-context.ts';
import { templateRegex } from './service-profile.ts';

type Dictionary = Readonly<Record<string, unknown>>;
type ResponseClasses = NonNullable<ProfileRoute['responseClasses']>;

/** In the order in which a path's routes are written. */
const METHODS: readonly string[] = ['DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'];
const FIRST_FAILURE = 500;

/** The routes, by path and then by method. Throws CommandFailure that names the file and what is wrong with it. */
export function openApiRoutes(file: string, text: string): ProfileRoute[] {
  const description = parse(file, text);
  const base = basePath(description);
  const paths = object(description['paths'] ?? {}, file, 'paths');
  return Object.keys(paths)
    .filter((path) => path.startsWith('/'))
    .toSorted()
    .flatMap((path) => {
      const item = object(paths[path] ?? {}, file, `paths.${path}`);
      return METHODS.flatMap((method) => {
        const operation = item[method.toLowerCase()];
        if (operation === undefined || operation === null) return [];
        return [route(`${base}${path}`, method, object(operation, file, `${method} ${path}`), file)];
      });
    });
}

function parse(file: string, text: string): Dictionary {
  let value: unknown;
  try {
    const document = parseDocument(text);
    const [fault] = document.errors;
    if (fault !== undefined) throw fault;
    value = document.toJS();
  } catch (error) {
    // Also aliases that stand for more than a text of this size may, and a text that is nested too deeply.
    throw new CommandFailure(`${file}: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
  const description = object(value, file, 'the document');
  if (description['swagger'] === undefined && description['openapi'] === undefined)
    throw new CommandFailure(`${file} is no OpenAPI description: it has neither "swagger" nor "openapi"`);
  return description;
}

/** What stands before every path: `basePath`, or the path of the first server. */
function basePath(description: Dictionary): string {
  const [server] = Array.isArray(description['servers']) ? (description['servers'] as unknown[]) : [];
  const url = typeof server === 'object' && server !== null ? (server as Dictionary)['url'] : undefined;
  const base = description['basePath'] ?? (typeof url === 'string' ? url.replace(/^[A-Za-z][\w+.-]*:\/\/[^/]*|[?#].*$/g, '') : '');
  const trimmed = typeof base === 'string' ? base.replace(/^\/+|\/+$/g, '') : '';
  return trimmed === '' ? '' : `/${trimmed}`;
}

function route(path: string, method: string, operation: Dictionary, file: string): ProfileRoute {
  const name = `${method} ${path}`;
  const responseClasses = classesOf(operation['responses'], file, name);
  const timeout = operation['x-linkerd-timeout'];
  if (timeout !== undefined && (typeof timeout !== 'string' || goDurationMs(timeout) === undefined))
    throw new CommandFailure(`${file}: x-linkerd-timeout of ${name} is no duration such as 250ms or 1m30s`);
  const isRetryable = operation['x-linkerd-retryable'];
  if (isRetryable !== undefined && typeof isRetryable !== 'boolean')
    throw new CommandFailure(`${file}: x-linkerd-retryable of ${name} is neither true nor false`);
  return {
    name,
    condition: { method, pathRegex: templateRegex(path) },
    ...(responseClasses.length === 0 ? {} : { responseClasses }),
    ...(isRetryable === true ? { isRetryable } : {}),
    ...(timeout === undefined ? {} : { timeout }),
  };
}

/** A class for each status, and for each `5XX`; what is said of `default` is said of nothing in particular. */
function classesOf(responses: unknown, file: string, name: string): ResponseClasses {
  return Object.keys(object(responses ?? {}, file, `the responses of ${name}`))
    .filter((status) => /^[1-5](?:\d\d|XX)$/i.test(status))
    .toSorted()
    .map((status) => {
      const [min, max] = [Number(status.replace(/X/gi, '0')), Number(status.replace(/X/gi, '9'))];
      return { condition: { status: { min, max } }, ...(min >= FIRST_FAILURE ? { isFailure: true } : {}) };
    });
}

function object(value: unknown, file: string, what: string): Dictionary {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new CommandFailure(`${file}: ${what} is no object`);
  return value as Dictionary;
}
