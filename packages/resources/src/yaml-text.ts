// SPDX-License-Identifier: Apache-2.0
/*
 * The YAML parser, to be loaded when first needed: `await import('./yaml-text.ts')`. A module of our own between, because a bundle in parts
 * gives a CommonJS package that is imported dynamically no named exports.
 */
export { parse, parseAllDocuments } from 'yaml';
