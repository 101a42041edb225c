// SPDX-License-Identifier: Apache-2.0
/*
 * The grammar of what users write into ServiceProfiles, without the service that acts on it: admission refuses with the same parsers that
 * later read the object (control-contract §1.8, §4.6).
 */
export { MAX_MATCH_DEPTH } from './profile/service-profile-message.ts';
