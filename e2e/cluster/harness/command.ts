// SPDX-License-Identifier: Apache-2.0
/* Runs a command and gives back what it said and how it ended. An exit status is a value here: tests assert on it. */
import { spawn } from 'node:child_process';

/** What a command left. */
export interface CommandResult {
  /** Its exit status; 128 plus the signal's number where one ended it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Text for its standard input. */
  readonly input?: string;
  /** It is killed after this long; then `code` is 137. Default: DEFAULT_COMMAND_TIMEOUT_MS. */
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
}

export const DEFAULT_COMMAND_TIMEOUT_MS = 60_000;
const KILLED = 137;

/** Runs `argv`. Rejects only where it cannot be started. */
export async function runCommand(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { input, timeoutMs = DEFAULT_COMMAND_TIMEOUT_MS, env } = options;
  const [name = '', ...args] = argv;
  const child = spawn(name, args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  // It may end before it has read everything.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? KILLED, stdout, stderr }));
  });
}

/** Runs `argv` and resolves with its standard output. Throws with what it said where its status is not 0. */
export async function output(argv: readonly string[], options: CommandOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await runCommand(argv, options);
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}: ${stderr.trim()}${stdout === '' ? '' : `\n${stdout.trim()}`}`);
  return stdout;
}
