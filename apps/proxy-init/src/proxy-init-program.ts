// SPDX-License-Identifier: Apache-2.0
/*
 * The program behind `linkerd2-proxy-init`: flags to rules, with the executed commands in the log (features NET-01).
 */
import { applyRedirect, type Exec, parseRedirectFlags, RedirectError, type RedirectFlags, runCommand } from '@weft/redirect';
import type { Logger } from '@weft/telemetry';
import { startLogger } from './start-logger.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Runs a command line; resolves with the exit code. `exec` runs commands, by default on this machine. */
export async function runProxyInit(
  args: readonly string[],
  output: { write(text: string): unknown },
  exec: Exec = runCommand,
): Promise<number> {
  if (args.includes('--help') || args.includes('-h')) {
    output.write(HELP);
    return 0;
  }
  let flags: RedirectFlags;
  try {
    flags = parseRedirectFlags(args);
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    startLogger('proxy-init', 'info', 'logfmt').error(`${error.message} (see --help)`);
    return EXIT_USAGE;
  }
  const logger = startLogger('proxy-init', flags.logLevel, flags.logFormat === 'json' ? 'logfmt-json' : 'logfmt');
  try {
    const outcome = await applyRedirect(flags.options, flags.isSimulation ? undefined : logged(exec, logger));
    for (const warning of outcome.warnings) logger.warn(warning);
    if (flags.isSimulation) for (const command of outcome.commands) logger.info(command.join(' '));
    return 0;
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    logger.error(error.message);
    return EXIT_FAILED;
  }
}

/** Each command before it runs, and what it printed after. */
function logged(exec: Exec, logger: Logger): Exec {
  return async (command) => {
    logger.info(command.join(' '));
    const result = await exec(command);
    for (const line of `${result.stdout}\n${result.stderr}`.split('\n')) if (line.trim() !== '') logger.info(line);
    return result;
  };
}

const HELP = `Usage: linkerd2-proxy-init [flags]

Redirects the TCP traffic of the current network namespace to a proxy.

  -p, --incoming-proxy-port int        where incoming connections go (required)
  -o, --outgoing-proxy-port int        where outgoing connections go (required)
  -u, --proxy-uid int                  user whose traffic is left alone: the proxy's
  -g, --proxy-gid int                  group whose traffic is left alone
  -r, --ports-to-redirect ints         redirect only these incoming ports
      --inbound-ports-to-ignore list   ports (N) and ranges (N-M) that are not redirected
      --outbound-ports-to-ignore list
      --subnets-to-ignore list         sources (CIDRs) whose connections are not redirected
      --simulate                       log the commands, run none
      --netns path                     network namespace to work in
  -w, --use-wait-flag                  wait for the lock of iptables
      --timeout-close-wait-secs int    sets nf_conntrack_tcp_timeout_close_wait; needs root and a privileged container
      --iptables-mode mode             legacy (default), nft or plain; the others are tried when it does not work
      --firewall-bin-path path         instead of a mode, with --firewall-save-bin-path
      --ipv6                           also for IPv6 (default true)
      --log-format format              plain or json
      --log-level level                info
`;
