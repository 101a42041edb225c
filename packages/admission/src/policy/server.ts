// SPDX-License-Identifier: Apache-2.0
/* Server and EgressNetwork (control-contract §3.5): a port of workloads, and what may leave the cluster. */
import { DEFAULT_POLICY_NAMES, parseDefaultPolicy, SERVER_PROTOCOLS } from '@weft/policy-controller/syntax';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';
import { reviewNonEmptyNetworks } from './networks.ts';

const MAX_PORT = 65_535;
/** The name of a container's port (Kubernetes: IANA_SVC_NAME). */
const PORT_NAME = /^(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(?:-[a-z0-9]+)*$/;
const OPERATORS: readonly string[] = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** Reviews the spec of a Server. */
export function reviewServer(spec: Field): void {
  const pods = spec.get('podSelector');
  const workloads = spec.get('externalWorkloadSelector');
  if (pods.isSet === workloads.isSet) spec.refuse('exactly one of podSelector and externalWorkloadSelector is required');
  reviewSelector(pods);
  reviewSelector(workloads);
  reviewPort(spec.get('port'));
  const protocol = spec.get('proxyProtocol');
  const protocolText = protocol.text();
  if (protocolText !== undefined && !SERVER_PROTOCOLS.some((known) => known === protocolText)) {
    protocol.refuse(`unknown protocol ${quote(protocolText)}; use one of ${SERVER_PROTOCOLS.join(', ')}`);
  }
  const access = spec.get('accessPolicy');
  const accessText = access.text();
  if (accessText !== undefined && parseDefaultPolicy(accessText) === undefined) {
    access.refuse(`unknown policy ${quote(accessText)}; use one of ${DEFAULT_POLICY_NAMES.join(', ')}`);
  }
}

/** Reviews the spec of an EgressNetwork. */
export function reviewEgressNetwork(spec: Field): void {
  const traffic = spec.get('trafficPolicy');
  const text = traffic.requiredText();
  if (text !== undefined && text !== 'Allow' && text !== 'Deny') traffic.refuse(`unknown policy ${quote(text)}; use Allow or Deny`);
  reviewNonEmptyNetworks(spec.get('networks'), false);
}

function reviewPort(field: Field): void {
  const { value } = field;
  if (!field.isSet) field.findings.shape(field.path, 'is required');
  if (typeof value === 'number') {
    if (!Number.isInteger(value) || value < 1 || value > MAX_PORT)
      field.refuse(`${value} is no port; use 1 to ${MAX_PORT}, or a port's name`);
    return;
  }
  const name = field.text();
  if (name !== undefined && !PORT_NAME.test(name)) {
    field.warn(`no container port can be named ${quote(name)}; write a number without quotes to mean a port by number`);
  }
}

function reviewSelector(field: Field): void {
  if (!field.isObject()) return;
  const labels = field.get('matchLabels');
  if (labels.isObject()) for (const name of labels.names()) if (!isLabelText(labels, name)) break;
  for (const expression of field.get('matchExpressions').items()) {
    if (!expression.isObject()) continue;
    expression.get('key').requiredText();
    const operator = expression.get('operator');
    const text = operator.requiredText();
    if (text !== undefined && !OPERATORS.includes(text))
      operator.refuse(`unknown operator ${quote(text)}; use one of ${OPERATORS.join(', ')}`);
    for (const value of expression.get('values').items()) value.text();
  }
}

function isLabelText(labels: Field, name: string): boolean {
  const value = labels.get(name).value;
  if (typeof value !== 'string') labels.findings.shape(labels.path, `the value of ${quote(name)} must be a string; put it in quotes`);
  return typeof value === 'string';
}
