// SPDX-License-Identifier: Apache-2.0
/*
 * Carrying a plan out (proxy-contract §10.1): pick the iptables that works, look at what is there, run the commands, stop at the first
 * that fails. Without `exec` nothing runs: the plan for an untouched machine is returned (`--simulate`).
 */
import { type Backend, candidateBackends } from './backends.ts';
import { commandAdvice, isPermissionProblem, missingBinaryAdvice, RedirectError } from './errors.ts';
import { checkOptions, type RedirectOptions } from './options.ts';
import { inNamespace, inspectCommand, planRedirect, planRemoval, planRestore, type RedirectCommand } from './plan.ts';
import type { CommandResult, Exec } from './run-command.ts';

/** How `nsenter` and shells report a binary that does not exist. */
const NOT_FOUND_STATUS = 127;

/** What was done. */
export interface RedirectOutcome {
  /** In order; with `exec` these ran, each with status 0. */
  readonly commands: readonly RedirectCommand[];
  /** For the log: binaries passed over, a missing exemption. */
  readonly warnings: readonly string[];
}

/** How rules are set. */
export interface ApplyManner {
  /**
   * One call of `iptables-restore` for each address family, where that is installed, instead of one of `iptables` for each rule: several
   * times faster, and never half done. Default: rule by rule, as the reference's log shows them.
   */
  readonly isOneTransaction?: boolean;
}

/**
 * Installs the redirection for IPv4 and, unless switched off, IPv6; run again it leads to the same rules. Rejects with RedirectError;
 * what had been installed by then stays, and the next run replaces it.
 */
export async function applyRedirect(options: RedirectOptions, exec: Exec | undefined, how: ApplyManner = {}): Promise<RedirectOutcome> {
  checkOptions(options);
  const run = new Run(options, exec);
  if ((options.proxyUid ?? 0) <= 0 && (options.proxyGid ?? 0) <= 0) {
    run.warnings.push('neither a proxy uid nor a gid is exempt: the connections of the proxy will be redirected to itself');
  }
  if ((options.timeoutCloseWaitSecs ?? 0) > 0) {
    await run.change(
      inNamespace(options, ['sysctl', '-w', `net.netfilter.nf_conntrack_tcp_timeout_close_wait=${options.timeoutCloseWaitSecs}`]),
    );
  }
  for (const family of familiesOf(options)) {
    const { backend, saveOutput } = await run.choose(family);
    if (how.isOneTransaction === true && (await run.restore(backend, saveOutput))) continue;
    const [, ...commands] = planRedirect(options, backend, saveOutput);
    for (const command of commands) await run.change(command);
  }
  return { commands: run.commands, warnings: run.warnings };
}

/**
 * Takes the redirection out again, with whichever iptables shows it; nothing installed is success. Only `netns`, `ipv6`, `useWaitFlag`
 * and the choice of binaries matter.
 */
export async function removeRedirect(options: RedirectOptions, exec: Exec): Promise<RedirectOutcome> {
  checkOptions(options);
  const run = new Run(options, exec);
  for (const family of familiesOf(options)) {
    for (const backend of candidateBackends(options, family)) {
      const result = await exec(inspectCommand(options, backend));
      if (result.status !== 0) continue;
      const commands = planRemoval(options, backend, result.stdout);
      for (const command of commands) await run.change(command);
      if (commands.length > 0) break;
    }
  }
  return { commands: run.commands, warnings: run.warnings };
}

function familiesOf(options: RedirectOptions): (4 | 6)[] {
  return options.ipv6 === false ? [4] : [4, 6];
}

class Run {
  readonly commands: RedirectCommand[] = [];
  readonly warnings: string[] = [];
  private readonly options: RedirectOptions;
  private readonly exec: Exec | undefined;

  constructor(options: RedirectOptions, exec: Exec | undefined) {
    this.options = options;
    this.exec = exec;
  }

  /** The first iptables that can print the nat table, and what it printed. */
  async choose(family: 4 | 6): Promise<{ backend: Backend; saveOutput: string }> {
    const candidates = candidateBackends(this.options, family);
    const reasons: string[] = [];
    for (const backend of candidates) {
      const command = inspectCommand(this.options, backend);
      if (this.exec === undefined) {
        this.commands.push(command);
        return { backend, saveOutput: '' };
      }
      let result = await this.exec(command);
      const missing = await this.findMissing(backend, result.status === 0);
      // A busy machine fails to start a process now and then; that is no reason to change to another kind of rules.
      if (missing === undefined && result.status !== 0) result = await this.exec(command);
      if (result.status === 0 && missing === undefined) {
        this.commands.push(command);
        this.warnings.push(...reasons);
        return { backend, saveOutput: result.stdout };
      }
      if (missing === undefined && isPermissionProblem(result.stderr)) {
        throw new RedirectError('ERR_REDIRECT_PERMISSION', failureText(command, result));
      }
      reasons.push(missing === undefined ? failureText(command, result) : missingBinaryAdvice(missing));
    }
    throw new RedirectError('ERR_REDIRECT_NO_BINARY', `no iptables for IPv${family} can be used: ${reasons.join('; ')}`);
  }

  /** Sets all rules of a family at once. False when there is no iptables-restore to do it. */
  async restore(backend: Backend, saveOutput: string): Promise<boolean> {
    if (this.exec === undefined) return false;
    const { command, input } = planRestore(this.options, backend, saveOutput);
    const result = await this.exec(command, input);
    if (result.status === undefined || result.status === NOT_FOUND_STATUS) return false;
    this.commands.push(command);
    if (result.status !== 0) throw new RedirectError('ERR_REDIRECT_COMMAND', failureText(command, result));
    return true;
  }

  async change(command: RedirectCommand): Promise<void> {
    this.commands.push(command);
    if (this.exec === undefined) return;
    const result = await this.exec(command);
    if (result.status !== 0) throw new RedirectError('ERR_REDIRECT_COMMAND', failureText(command, result));
  }

  /**
   * The one of the pair that is not installed. `nsenter` would hide which, so each is looked for on its own; a pair of one package
   * is complete when one of it works, and each look is a process.
   */
  private async findMissing({ binary, saveBinary }: Backend, doesSaveWork: boolean): Promise<string | undefined> {
    if (doesSaveWork && saveBinary === `${binary}-save`) return undefined;
    for (const name of [binary, saveBinary]) {
      if ((await this.exec?.([name, '--version']))?.status === undefined) return name;
    }
    return undefined;
  }
}

function failureText(command: RedirectCommand, result: CommandResult): string {
  if (result.status === undefined) return missingBinaryAdvice(command[0] ?? '');
  const said = result.stderr.trim().split('\n').slice(0, 3).join(' ');
  const advice = commandAdvice(said);
  return `\`${command.join(' ')}\` failed with status ${result.status}: ${said}${advice === '' ? '' : ` (${advice})`}`;
}
