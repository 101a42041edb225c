// SPDX-License-Identifier: Apache-2.0
/* Reasons that several cases share: features that are not built yet. */

export const NO_TIMEOUT = 'route timeouts are not built yet';
