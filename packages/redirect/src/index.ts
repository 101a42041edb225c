// SPDX-License-Identifier: Apache-2.0
export { type ApplyManner, applyRedirect, type RedirectOutcome, removeRedirect } from './apply.ts';
export { type Backend, candidateBackends } from './backends.ts';
export { RedirectError, type RedirectErrorCode } from './errors.ts';
export { parseRedirectFlags, type RedirectFlags } from './flags.ts';
export { isRedirected } from './inspect.ts';
export { LOCK_RETRIES, type LockRetryClock, withLockRetries } from './lock-retries.ts';
export { checkOptions, type IptablesMode, type RedirectOptions } from './options.ts';
export { planRedirect, planRemoval, planRestore, type RedirectCommand } from './plan.ts';
export { type CommandResult, type Exec, runCommand } from './run-command.ts';
export { parseDurationMs, parseValidatorFlags, type SocketAddress, type ValidatorFlags } from './validator/flags.ts';
export { randomToken, validateRedirect, type ValidateOptions, type ValidateOutcome } from './validator/validate-redirect.ts';
