// SPDX-License-Identifier: Apache-2.0
/* A ServiceProfile to edit (features CLI-29): every field once, with what it means beside it. */
import { profileName, type ProfileService } from './service-profile.ts';

/** The template, in YAML. */
export function profileTemplate(service: ProfileService): string {
  return `# ServiceProfile of ${service.name} in namespace ${service.namespace}: edit it, then kubectl apply -f it.
apiVersion: linkerd.io/v1alpha2
kind: ServiceProfile
metadata:
  name: ${profileName(service)}
  # The profile of the service's own namespace holds for all clients; one in a client's namespace holds for the clients there, and wins.
  namespace: ${service.namespace}
spec:
  # Requests are counted by the first route whose condition they meet; metrics, retries and timeouts are per route.
  routes:
  # The name is what metrics call the route.
  - name: 'POST /authors/{id}'
    condition:
      # The method, and an expression for the whole path, without its query.
      method: POST
      pathRegex: '/authors/\\d+'
      # Conditions can be put together: any: [...], all: [...], not: {...}.
    # Which responses count as what; without it, those from 500 to 599 are failures.
    responseClasses:
    - condition:
        # One bound alone means just that status.
        status:
          min: 500
          max: 599
        # Also any, all and not.
      isFailure: true
    # Whether a failed request may be sent again, within the budget below.
    isRetryable: false
    # How long the client's proxy waits for the response, 250ms or 1m say; without it, as long as it takes.
    timeout: 10s
  # How many retries all clients together may add.
  retryBudget:
    # Retries, as a share of the other requests.
    retryRatio: 0.2
    # Besides that share.
    minRetriesPerSecond: 10
    # Over how long the share is taken.
    ttl: 10s
`;
}
