// SPDX-License-Identifier: Apache-2.0
export {
  createDestinationService,
  type DestinationHandlers,
  type DestinationService,
  type DestinationServiceInit,
} from './destination-service.ts';
export { DEFAULT_DESTINATION_OPTIONS, parseHttp2ClientParams, parseTransportMode, type DestinationOptions } from './options.ts';
export {
  ENDPOINT_LEASE_NAME,
  startExternalEndpoints,
  type ExternalEndpoints,
  type ExternalEndpointsInit,
} from './external-endpoints/leadership.ts';
