// SPDX-License-Identifier: Apache-2.0
/*
 * What every sub-command is given: the global flags (features CLI-01), where to write, and how to end. A command's file exports `define`,
 * which adds its arguments, options and action to a commander command; the file is loaded only when the command is named.
 */
import type { Command } from 'commander';

/** The global flags, with defaults and environment filled in. */
export interface GlobalOptions {
  /** Namespace of the control plane. Flag, then LINKERD_NAMESPACE, then `linkerd`. */
  readonly linkerdNamespace: string;
  /** Namespace of the CNI plugin. */
  readonly cniNamespace: string;
  /** Path; undefined means KUBECONFIG, `~/.kube/config`, or the service account of a pod. */
  readonly kubeconfig?: string;
  /** Context of the kubeconfig; undefined means its current one. */
  readonly context?: string;
  /** User to impersonate. */
  readonly as?: string;
  /** Groups to impersonate. */
  readonly asGroup: readonly string[];
  /** `host:port` of a control plane's API: commands that would forward a port dial this instead. */
  readonly apiAddr?: string;
  /** Requests to the API server are told on standard error. */
  readonly isVerbose: boolean;
}

/** Streams of a run; a test passes its own. */
export interface CommandOutput {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
}

/** Given to `define`. */
export interface CommandContext extends CommandOutput {
  /** The command line, without interpreter and script. */
  readonly argv: readonly string[];
  /** The global flags; to be asked inside an action, when the command line has been parsed. */
  globals(): GlobalOptions;
  /** Sets the exit code; 0 unless told. */
  finish(exitCode: number): void;
  /** The whole program with every command's flags: for completion. */
  describeAll(): Promise<Command>;
}

/** A file of `commands/`. */
export interface CommandModule {
  define(command: Command, context: CommandContext): void;
}

/** The work failed, and the message says all that the user needs: printed as `Error: …` without a stack. */
export class CommandFailure extends Error {
  readonly exitCode: number;

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CommandFailure';
    this.exitCode = exitCode;
  }
}

/** A command line that cannot be used. */
export const EXIT_USAGE = 2;
