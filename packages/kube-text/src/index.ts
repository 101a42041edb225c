// SPDX-License-Identifier: Apache-2.0
/** `@weft/kube-text`: durations and quantities as Kubernetes objects and Go programs write them. */
export { goDurationMs, goDurationNs } from './go-duration.ts';
export { milliValue, quantityValue } from './quantity.ts';
