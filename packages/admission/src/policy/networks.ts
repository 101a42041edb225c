// SPDX-License-Identifier: Apache-2.0
/*
 * Networks with exceptions, as NetworkAuthentication, ServerAuthorization and EgressNetwork write them (control-contract §3.5): every
 * exception lies inside its network and leaves something of it.
 */
import { type IpNetwork, contains, parseNetwork } from '@weft/policy-controller/syntax';
import type { Field } from '../field.ts';
import { quote } from '../findings.ts';

/** Longest text that is read as an address: an IPv6 network has at most 49 characters. */
const MAX_NETWORK_LENGTH = 64;

/** Reviews a list of networks. */
export function reviewNetworks(list: Field): void {
  for (const item of list.items()) {
    if (!item.isObject()) continue;
    const cidrField = item.get('cidr');
    const cidr = readNetwork(cidrField);
    if (!cidrField.isSet) cidrField.findings.shape(cidrField.path, 'is required');
    for (const exceptField of item.get('except').items()) {
      const except = readNetwork(exceptField);
      if (cidr !== undefined && except !== undefined) reviewException(exceptField, cidr, except, String(cidrField.value));
    }
  }
}

/** Reviews a list that, where it is given, must name a network: an empty one would match nothing, or everything. */
export function reviewNonEmptyNetworks(list: Field, isRequired: boolean): void {
  if (!list.isSet && !isRequired) return;
  if (!list.isSet || (Array.isArray(list.value) && list.value.length === 0)) {
    list.refuse(
      `at least one network must be specified${isRequired ? '' : '; leave the field out to mean all networks outside the cluster'}`,
    );
  }
  reviewNetworks(list);
}

function reviewException(field: Field, cidr: IpNetwork, except: IpNetwork, cidrText: string): void {
  if (contains(except, cidr)) {
    field.refuse(`${quote(cidrText)} is completely negated by this exception; except a smaller part, or remove the network`);
  } else if (!contains(cidr, except)) {
    field.refuse(`is not inside ${quote(cidrText)}; an exception must be a part of its network`);
  }
}

function readNetwork(field: Field): IpNetwork | undefined {
  const text = field.text();
  if (text === undefined) return undefined;
  const network = text.length > MAX_NETWORK_LENGTH ? undefined : parseNetwork(text);
  if (network?.ok === true) return network.value;
  field.refuse(`${quote(text)} is no network; write an address such as 192.0.2.1 or a CIDR such as 10.0.0.0/8`);
  return undefined;
}
