// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { checkRunOptions } from './run-options.ts';

describe('options of weft run', () => {
  it('has defaults', () => {
    expect(checkRunOptions({})).toEqual({
      name: undefined,
      forMs: undefined,
      isJson: false,
      podNetwork: undefined,
      settleMs: 1000,
      defaultInboundPolicy: 'all-unauthenticated',
      proxyEnv: {},
      installsDeps: false,
      cleans: false,
      hasView: true,
    });
  });

  it('reads durations and pairs', () => {
    expect(checkRunOptions({ for: '1.5m', settle: '250ms', proxyEnv: ['A=b=c', 'D='], output: 'json', view: false })).toMatchObject({
      forMs: 90_000,
      settleMs: 250,
      proxyEnv: { A: 'b=c', D: '' },
      isJson: true,
      hasView: false,
    });
  });

  it.each([
    [{ for: '30' }, '--for'],
    [{ settle: 'soon' }, '--settle'],
    [{ output: 'yaml' }, '--output'],
    [{ defaultInboundPolicy: 'allow' }, '--default-inbound-policy'],
    [{ proxyEnv: ['novalue'] }, '--proxy-env'],
  ])('refuses %j', (options, flag) => {
    expect(() => checkRunOptions(options)).toThrow(flag);
  });
});
