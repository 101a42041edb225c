// SPDX-License-Identifier: Apache-2.0
/*
 * The commands that install or remove the redirection, in the reference's order with its comments (proxy-contract §10.1): nat table
 * only, TCP only. Pure: what exists already is an argument, so a second run flushes and fills the same chains.
 */
import type { Backend } from './backends.ts';
import { checkOptions, familyOfSubnet, type RedirectOptions } from './options.ts';
import { multiportLists } from './port-ranges.ts';
import { OUTPUT_CHAIN, readSaveOutput, REDIRECT_CHAIN } from './save-output.ts';

/** A command as words, namespace prefix included. */
export type RedirectCommand = readonly string[];

/**
 * Everything for one address family: the inspection whose output `saveOutput` is, the rules, the inspection of the result. Throws
 * RedirectError `ERR_REDIRECT_OPTION`.
 */
export function planRedirect(options: RedirectOptions, backend: Backend, saveOutput: string): RedirectCommand[] {
  const inspect = inspectCommand(options, backend);
  return [inspect, ...redirectRules(options, backend, saveOutput).commands, inspect];
}

/** The same rules as one transaction: a command, and what it reads from its standard input. All of them hold afterwards, or none. */
export function planRestore(
  options: RedirectOptions,
  backend: Backend,
  saveOutput: string,
): { readonly command: RedirectCommand; readonly input: string } {
  const lines = redirectRules(options, backend, saveOutput).words.map(([action = '', ...words]) =>
    // To name a chain of one's own makes it, or empties it.
    action === '-A' ? ['-A', ...words].join(' ') : `:${words.join(' ')} - [0:0]`,
  );
  const chains = lines.filter((line) => line.startsWith(':'));
  const rules = lines.filter((line) => !line.startsWith(':'));
  const wait = options.useWaitFlag === true ? ['-w'] : [];
  return {
    command: inNamespace(options, [`${backend.binary}-restore`, '--noflush', ...wait]),
    input: ['*nat', ...chains, ...rules, 'COMMIT', ''].join('\n'),
  };
}

function redirectRules(options: RedirectOptions, backend: Backend, saveOutput: string): RuleWriter {
  checkOptions(options);
  const installed = readSaveOutput(saveOutput);
  const rules = new RuleWriter(options, backend);

  rules.chain(REDIRECT_CHAIN, installed.hasRedirectChain);
  for (const list of multiportLists(options.inboundPortsToIgnore ?? [])) rules.ignorePorts(REDIRECT_CHAIN, list);
  for (const subnet of options.subnetsToIgnore ?? []) {
    if (familyOfSubnet(subnet) === backend.family) {
      rules.append(REDIRECT_CHAIN, ['-p', 'all', '-j', 'RETURN', '-s', subnet], `ignore-subnet-${subnet}`);
    }
  }
  const incoming = String(options.incomingProxyPort);
  const listed = options.portsToRedirect ?? [];
  for (const port of listed) {
    const words = ['-p', 'tcp', '--destination-port', String(port), '-j', 'REDIRECT', '--to-port', incoming];
    rules.append(REDIRECT_CHAIN, words, `redirect-port-${port}-to-proxy-port`);
  }
  if (listed.length === 0) {
    rules.append(REDIRECT_CHAIN, ['-p', 'tcp', '-j', 'REDIRECT', '--to-port', incoming], 'redirect-all-incoming-to-proxy-port');
  }
  if (!installed.hasPreroutingJump) rules.append('PREROUTING', ['-j', REDIRECT_CHAIN], 'install-proxy-init-prerouting');

  rules.chain(OUTPUT_CHAIN, installed.hasOutputChain);
  const { proxyUid = 0, proxyGid = 0 } = options;
  if (proxyUid > 0) rules.append(OUTPUT_CHAIN, ['-m', 'owner', '--uid-owner', String(proxyUid), '-j', 'RETURN'], 'ignore-proxy-user-id');
  if (proxyGid > 0) rules.append(OUTPUT_CHAIN, ['-m', 'owner', '--gid-owner', String(proxyGid), '-j', 'RETURN'], 'ignore-proxy-group-id');
  rules.append(OUTPUT_CHAIN, ['-o', 'lo', '-j', 'RETURN'], 'ignore-loopback');
  for (const list of multiportLists(options.outboundPortsToIgnore ?? [])) rules.ignorePorts(OUTPUT_CHAIN, list);
  const outgoing = String(options.outgoingProxyPort);
  rules.append(OUTPUT_CHAIN, ['-p', 'tcp', '-j', 'REDIRECT', '--to-port', outgoing], 'redirect-all-outgoing-to-proxy-port');
  if (!installed.hasOutputJump) rules.append('OUTPUT', ['-j', OUTPUT_CHAIN], 'install-proxy-init-output');
  return rules;
}

/** The commands that take everything of ours out of one family's nat table; none if nothing is there. */
export function planRemoval(options: RedirectOptions, backend: Backend, saveOutput: string): RedirectCommand[] {
  const installed = readSaveOutput(saveOutput);
  const rules = new RuleWriter(options, backend);
  for (const jump of installed.jumps) rules.add(['-D', ...jump]);
  const chains = [installed.hasRedirectChain ? REDIRECT_CHAIN : '', installed.hasOutputChain ? OUTPUT_CHAIN : ''].filter(
    (chain) => chain !== '',
  );
  for (const chain of chains) rules.add(['-F', chain]);
  for (const chain of chains) rules.add(['-X', chain]);
  return rules.commands;
}

/** Prints the nat table. */
export function inspectCommand(options: RedirectOptions, backend: Backend): RedirectCommand {
  return inNamespace(options, [backend.saveBinary, '-t', 'nat']);
}

/** Runs `command` where the rules belong. */
export function inNamespace({ netns }: RedirectOptions, command: readonly string[]): RedirectCommand {
  if (netns === undefined) return command;
  return netns.includes('/') ? ['nsenter', `--net=${netns}`, '--', ...command] : ['ip', 'netns', 'exec', netns, ...command];
}

class RuleWriter {
  /** Without binary, table and wait flag. */
  readonly words: (readonly string[])[] = [];
  readonly commands: RedirectCommand[] = [];
  private readonly options: RedirectOptions;
  private readonly backend: Backend;

  constructor(options: RedirectOptions, backend: Backend) {
    this.options = options;
    this.backend = backend;
  }

  /** Makes the chain, or empties it. */
  chain(name: string, exists: boolean): void {
    this.add([exists ? '-F' : '-N', name]);
  }

  ignorePorts(chain: string, list: string): void {
    this.append(chain, ['-p', 'tcp', '--match', 'multiport', '--dports', list, '-j', 'RETURN'], `ignore-port-${list}`);
  }

  append(chain: string, words: readonly string[], comment: string): void {
    this.add(['-A', chain, ...words, '-m', 'comment', '--comment', `proxy-init/${comment}`]);
  }

  add(words: readonly string[]): void {
    this.words.push(words);
    const wait = this.options.useWaitFlag === true ? ['-w'] : [];
    this.commands.push(inNamespace(this.options, [this.backend.binary, '-t', 'nat', ...words, ...wait]));
  }
}
