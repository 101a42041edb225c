// SPDX-License-Identifier: Apache-2.0
/*
 * One run of the plugin (proxy-contract §10.2): a meshed pod gets its rules or its sandbox fails, so that it never starts outside the
 * mesh; every other pod passes untouched. ADD may run again for the same sandbox; DEL has nothing to undo, since the rules go with the
 * namespace; CHECK looks whether the rules of a meshed pod are there.
 */
import { applyRedirect, type Exec, isRedirected, RedirectError, type RedirectOptions, withLockRetries } from '@weft/redirect';
import { isResourceError, NamespaceKind, type Pod, PodKind, type ResourceSource, ServiceKind } from '@weft/resources';
import type { Logger } from '@weft/telemetry';
import { CNI_CODES, CniError, errorOutput } from './cni-error.ts';
import { type PodIdentity, readInvocation } from './invocation.ts';
import { CNI_VERSIONS, type NetworkConfig, parseNetworkConfig, versionOf } from './network-config.ts';
import { LOOKUP_LIMITS, lookUp, type LookupLimits, type LookupWorld } from './pod-lookup.ts';
import { apiServerPorts, isControlPlane, looksUnmeshed, redirectOptions, skipReason } from './pod-redirect.ts';

/** How long an unreachable API server may hold up a pod that by its annotations is not meshed. Milliseconds. */
export const UNMESHED_PATIENCE_MS = 5000;

/** What a run is given. */
export interface PluginRun {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All of standard input. */
  readonly input: string;
  readonly exec: Exec;
  readonly world: LookupWorld;
  /** A logger at the level that the configuration names. */
  readonly logger: (level: string) => Logger;
  readonly limits?: LookupLimits;
}

/** What it leaves: standard output and the exit status. */
export interface PluginOutcome {
  readonly output: string;
  readonly exitCode: number;
  /** Milliseconds that answers of the API server took. */
  readonly lookupMs: number;
}

/** Runs one operation. Never rejects: failures are CNI errors. */
export async function runPlugin(run: PluginRun): Promise<PluginOutcome> {
  const timing = { lookupMs: 0 };
  try {
    return { output: await operate(run, timing), exitCode: 0, lookupMs: timing.lookupMs };
  } catch (error) {
    const known = error instanceof CniError ? error : new CniError(CNI_CODES.ioFailure, `internal error: ${String(error)}`);
    run.logger('error').error(known.message, { code: known.code });
    return { output: errorOutput(known, versionOf(run.input)), exitCode: 1, lookupMs: timing.lookupMs };
  }
}

async function operate(run: PluginRun, timing: { lookupMs: number }): Promise<string> {
  const { command, netns, pod, containerId } = readInvocation(run.env);
  switch (command) {
    case 'VERSION':
      return `${JSON.stringify({ cniVersion: versionOf(run.input), supportedVersions: CNI_VERSIONS })}\n`;
    // Nothing is kept outside of the namespace: nothing to undo, nothing to collect, nothing that could be unready.
    case 'DEL':
    case 'GC':
    case 'STATUS':
      return '';
    case 'ADD':
    case 'CHECK':
      break;
    default:
      return command satisfies never;
  }
  const config = parseNetworkConfig(run.input);
  const logger = run.logger(config.logLevel).child({ command, container: containerId, namespace: pod?.namespace, pod: pod?.name });
  const options = pod === undefined ? 'it is no pod of Kubernetes' : await decide(run, config, pod, netns, timing);
  if (typeof options === 'string') {
    logger.debug(`Left alone: ${options}`);
  } else {
    const exec = withLockRetries(run.exec, run.world);
    await (command === 'ADD' ? redirect(options, config.redirect.isSimulation ? undefined : exec, logger) : check(options, exec));
  }
  return command === 'ADD' ? `${JSON.stringify({ ...config.prevResult, cniVersion: config.cniVersion })}\n` : '';
}

/** The rules of the pod, or why it gets none. */
async function decide(
  run: PluginRun,
  config: NetworkConfig,
  identity: PodIdentity,
  netns: string,
  timing: { lookupMs: number },
): Promise<RedirectOptions | string> {
  const { namespace, name } = identity;
  const limits = run.limits ?? LOOKUP_LIMITS;
  const mayPass = looksUnmeshed(config.podAnnotations);
  const startMs = run.world.now();
  try {
    if (config.kubeconfig === '')
      throw new CniError(CNI_CODES.invalidNetworkConfig, "the network configuration's kubernetes.kubeconfig is missing");
    const patience = { ...limits, totalMs: mayPass ? Math.min(limits.totalMs, UNMESHED_PATIENCE_MS) : limits.totalMs };
    return await lookUp(run.world, config.kubeconfig, patience, async (source) => {
      const pod = await source.get(PodKind, namespace, name);
      checkUid(pod, identity);
      const reason = skipReason(pod);
      if (reason !== undefined) return reason;
      if (netns === '') throw new CniError(CNI_CODES.invalidEnvironment, 'CNI_NETNS is missing');
      const apiPorts = isControlPlane(pod) ? await readApiServerPorts(source) : [];
      return redirectOptions(pod, await source.get(NamespaceKind, '', namespace), config.redirect, apiPorts, netns);
    });
  } catch (error) {
    if (mayPass && !(error instanceof CniError))
      return `the API server does not answer, and its annotations show no mesh: ${String(error)}`;
    throw lookupFailure(error, `${namespace}/${name}`);
  } finally {
    timing.lookupMs += run.world.now() - startMs;
  }
}

/** The API may already show the next pod of that name; a mirror pod has another uid than its static pod, always. */
function checkUid({ metadata }: Pod, { uid }: PodIdentity): void {
  if (uid === undefined || uid === metadata.uid || Object.hasOwn(metadata.annotations, 'kubernetes.io/config.mirror')) return;
  throw new CniError(CNI_CODES.tryAgainLater, `pod ${metadata.namespace}/${metadata.name} was replaced by another of that name`);
}

async function readApiServerPorts(source: ResourceSource): Promise<readonly string[]> {
  try {
    return apiServerPorts(await source.get(ServiceKind, 'default', 'kubernetes'));
  } catch (error) {
    if (isResourceError(error) && error.code === 'ERR_UNAVAILABLE') throw error;
    return apiServerPorts(undefined);
  }
}

function lookupFailure(error: unknown, pod: string): CniError {
  if (error instanceof CniError) return error;
  const { message } = error as Error;
  if (!isResourceError(error))
    return new CniError(CNI_CODES.podLookup, `linkerd-cni cannot read its kubeconfig to look up pod ${pod}: ${message}`);
  if (error.code === 'ERR_NOT_FOUND') return new CniError(CNI_CODES.tryAgainLater, `linkerd-cni: pod ${pod} is gone: ${message}`);
  const advice = error.code === 'ERR_FORBIDDEN' ? ' (may its service account read pods and namespaces?)' : '';
  return new CniError(CNI_CODES.podLookup, `linkerd-cni cannot look up pod ${pod}: ${message}${advice}`);
}

async function redirect(options: RedirectOptions, exec: Exec | undefined, logger: Logger): Promise<void> {
  try {
    const { commands, warnings } = await applyRedirect(options, exec, { isOneTransaction: true });
    for (const warning of warnings) logger.warn(warning);
    if (logger.isEnabled('debug')) for (const command of commands) logger.debug(command.join(' '));
    logger.info('Traffic redirected');
  } catch (error) {
    if (!(error instanceof RedirectError)) throw error;
    throw new CniError(CNI_CODES.redirect, `linkerd-cni cannot redirect the pod's traffic: ${error.message}`);
  }
}

async function check(options: RedirectOptions, exec: Exec): Promise<void> {
  if (!(await isRedirected(options, exec)))
    throw new CniError(CNI_CODES.redirect, "linkerd-cni: the rules of the pod's network are missing");
}
