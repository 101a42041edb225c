// SPDX-License-Identifier: Apache-2.0
/* The images by name, and what their references start with. */
import { CNI_IMAGE } from './cni-image.ts';
import { CONTROLLER_IMAGE } from './controller-image.ts';
import { DEBUG_IMAGE } from './debug-image.ts';
import { DEMO_IMAGE } from './demo-image.ts';
import type { ImageDescription } from './description.ts';
import { PROXY_IMAGE } from './proxy-image.ts';

/** All images, in the order in which they are built. */
export const IMAGES: readonly ImageDescription[] = [PROXY_IMAGE, CONTROLLER_IMAGE, CNI_IMAGE, DEBUG_IMAGE, DEMO_IMAGE];

/** Registry and organisation of the references in the archives. */
export const REPOSITORY_PREFIX = 'ghcr.io/weft-mesh';
