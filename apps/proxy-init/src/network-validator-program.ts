// SPDX-License-Identifier: Apache-2.0
/*
 * The program behind `linkerd2-network-validator`. The repair controller looks for its exit code 95, so that code means one thing only:
 * the rules are not there.
 */
import { parseValidatorFlags, RedirectError, type ValidatorFlags, validateRedirect } from '@weft/redirect';
import { startLogger } from './start-logger.ts';

/** The rules are not there; the repair controller deletes the pod (proxy-contract §10.4). */
export const EXIT_NOT_REDIRECTED = 95;
const EXIT_FAILED = 1;
const EXIT_USAGE = 2;
const TARGET = 'linkerd_network_validator';

/** Runs a command line; resolves with the exit code. */
export async function runNetworkValidator(args: readonly string[], output: { write(text: string): unknown }): Promise<number> {
  if (args.includes('--help')) {
    output.write(HELP);
    return 0;
  }
  let flags: ValidatorFlags;
  try {
    flags = parseValidatorFlags(args);
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    startLogger(TARGET, 'info', 'plain').error(error.message);
    return EXIT_USAGE;
  }
  const logger = startLogger(TARGET, flags.logLevel, flags.logFormat);
  const { connect, listen, timeoutMs } = flags;
  logger.info('Checking that outgoing connections reach the proxy', {
    connect: `${connect.host} ${connect.port}`,
    listen: `${listen.host} ${listen.port}`,
  });
  try {
    const outcome = await validateRedirect({ connect, listen, timeoutMs });
    if (outcome.isRedirected) {
      logger.info('Connections are redirected to the proxy');
      return 0;
    }
    logger.error(`Connections are not redirected to the proxy: ${outcome.reason}. Is the CNI plugin linkerd-cni installed on this node?`);
    return EXIT_NOT_REDIRECTED;
  } catch (error) {
    logger.error(`Cannot check the redirection: ${(error as Error).message}`);
    return EXIT_FAILED;
  }
}

const HELP = `Usage: linkerd2-network-validator [flags]

Succeeds when connections of this network namespace are redirected to the proxy's port; exits with 95 when they are not.

  --connect-addr address   an address that only the redirection answers (default 1.1.1.1:20001)
  --listen-addr address    where redirected connections arrive (default 0.0.0.0:4140)
  --timeout time           default 10s
  --log-format format      plain or json
  --log-level level        info
`;
