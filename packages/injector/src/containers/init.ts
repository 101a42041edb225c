// SPDX-License-Identifier: Apache-2.0
/*
 * What comes before the proxy in a pod (control-contract §4.4 item 4, feature INJ-13): `linkerd-init`, which redirects the pod's traffic, or
 * with a CNI plugin `linkerd-network-validator`, which refuses to go on where the plugin did not do so.
 */
import { present, type JsonObject } from '../json-object.ts';
import { imageReference, pullPolicyOf, type ContainerContext } from './context.ts';
import { containerResources } from './resources.ts';

export const INIT_CONTAINER_NAME: string = 'linkerd-init';
export const VALIDATOR_CONTAINER_NAME: string = 'linkerd-network-validator';
/** What the firewall needs. */
const INIT_CAPABILITIES: readonly string[] = ['NET_ADMIN', 'NET_RAW'];
/** An address that nothing answers on: with the redirection in place, the validator itself does. */
const VALIDATOR_TARGET = { ipv4: '1.1.1.1:20001', ipv6: '[fd00::1]:20001' };

/** Builds `linkerd-init`. */
export function initContainer(context: ContainerContext): JsonObject {
  const { values, tokenMount } = context;
  const { proxy, proxyInit } = values;
  const { name, mountPath, readOnly } = proxyInit.xtMountPath;
  return present({
    args: initArguments(context),
    command: ['/usr/lib/linkerd/linkerd2-proxy-init'],
    image: imageReference(proxy.image),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    name: INIT_CONTAINER_NAME,
    resources: containerResources(proxy.resources),
    securityContext: initSecurityContext(context),
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [present({ mountPath, name, readOnly: readOnly ? true : undefined }), ...(tokenMount === undefined ? [] : [tokenMount])],
  });
}

function initArguments({ values }: ContainerContext): readonly string[] {
  const { proxy, proxyInit } = values;
  const { ports } = proxy;
  const list = (...items: readonly (string | number)[]): string => items.filter((item) => item !== '').join(',');
  const option = (name: string, value: string): readonly string[] => (value === '' ? [] : [name, value]);
  return [
    ...(proxyInit.iptablesMode === 'nft' ? ['--firewall-bin-path', 'iptables-nft', '--firewall-save-bin-path', 'iptables-nft-save'] : []),
    ...(values.disableIPv6 ? ['--ipv6=false'] : []),
    '--incoming-proxy-port',
    String(ports.inbound),
    '--outgoing-proxy-port',
    String(ports.outbound),
    '--proxy-uid',
    String(proxy.uid),
    ...(proxy.gid >= 0 ? ['--proxy-gid', String(proxy.gid)] : []),
    '--inbound-ports-to-ignore',
    list(ports.control, ports.admin, proxyInit.ignoreInboundPorts),
    ...option('--outbound-ports-to-ignore', proxyInit.ignoreOutboundPorts),
    ...(proxyInit.closeWaitTimeoutSecs > 0 ? ['--timeout-close-wait-secs', String(proxyInit.closeWaitTimeoutSecs)] : []),
    ...option('--log-format', proxyInit.logFormat),
    ...option('--log-level', proxyInit.logLevel),
    ...option('--subnets-to-ignore', proxyInit.skipSubnets),
  ];
}

function initSecurityContext({ values: { proxyInit }, capabilities }: ContainerContext): JsonObject {
  const isPrivileged = proxyInit.privileged || proxyInit.closeWaitTimeoutSecs > 0;
  const add = [...new Set([...INIT_CAPABILITIES, ...(capabilities?.add ?? [])])];
  const drop = (capabilities?.drop ?? []).filter((capability) => !INIT_CAPABILITIES.includes(capability));
  return {
    allowPrivilegeEscalation: isPrivileged,
    capabilities: present({ add, drop: drop.length > 0 ? drop : undefined }),
    privileged: isPrivileged,
    readOnlyRootFilesystem: true,
    runAsGroup: proxyInit.runAsRoot ? 0 : proxyInit.runAsGroup,
    runAsNonRoot: !proxyInit.runAsRoot,
    runAsUser: proxyInit.runAsRoot ? 0 : proxyInit.runAsUser,
    seccompProfile: { type: 'RuntimeDefault' },
  };
}

/** Builds `linkerd-network-validator`. */
export function validatorContainer({ values, tokenMount }: ContainerContext): JsonObject {
  const { proxy, networkValidator: validator } = values;
  const everywhere = values.disableIPv6 ? '0.0.0.0' : '[::]';
  return present({
    args: [
      '--log-format',
      validator.logFormat,
      '--log-level',
      validator.logLevel,
      '--connect-addr',
      validator.connectAddr || (values.disableIPv6 ? VALIDATOR_TARGET.ipv4 : VALIDATOR_TARGET.ipv6),
      '--listen-addr',
      validator.listenAddr || `${everywhere}:${proxy.ports.outbound}`,
      '--timeout',
      validator.timeout,
    ],
    command: ['/usr/lib/linkerd/linkerd2-network-validator'],
    image: imageReference(proxy.image),
    imagePullPolicy: pullPolicyOf(proxy.image, values),
    name: VALIDATOR_CONTAINER_NAME,
    resources: containerResources(proxy.resources),
    securityContext: validator.securityContext,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: tokenMount === undefined ? undefined : [tokenMount],
  });
}
