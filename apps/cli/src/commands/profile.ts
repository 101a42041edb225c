// SPDX-License-Identifier: Apache-2.0
/* `weft profile` (features CLI-29): prints a ServiceProfile, to edit or made from a description of the service, for kubectl apply. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { CommandFailure, EXIT_USAGE, type CommandContext } from '../command-context.ts';
import { namespaceName } from '../global-options.ts';
import { withCluster } from '../inspect/with-cluster.ts';
import type { ClusterReader } from '../kube/cluster.ts';
import { readMeshConfig, textAt } from '../kube/mesh-config.ts';
import { readDocuments, writeDocument } from '../manifests/documents.ts';
import { readSources, type Input } from '../manifests/read-sources.ts';
import { openApiRoutes } from '../profile/open-api.ts';
import { protoRoutes } from '../profile/proto-file.ts';
import { serviceProfile, type ProfileService } from '../profile/service-profile.ts';
import { profileTemplate } from '../profile/template.ts';

/** Where services are unless the control plane or a flag says otherwise. */
const DEFAULT_CLUSTER_DOMAIN = 'cluster.local';
const DEFAULT_NAMESPACE = 'default';

export interface ProfileOptions {
  readonly template?: boolean;
  readonly openApi?: string;
  readonly proto?: string;
  readonly namespace?: string;
  readonly ignoreCluster?: boolean;
  readonly output: 'yaml' | 'json';
}

/** Flags and action. */
export function define(command: Command, context: CommandContext, input: Input = process.stdin): void {
  command
    .argument('<service>', 'name of the Service', serviceName)
    .option('--template', 'a profile with every field, to edit')
    .option('--open-api <file>', 'the routes of an OpenAPI description, Swagger 2.0 or OpenAPI 3; a file, a URL, or - for standard input')
    .option('--proto <file>', 'the methods of a protobuf file; a file, a URL, or - for standard input')
    .option('-n, --namespace <namespace>', "the service's namespace; default: that of the kubeconfig's context", namespaceName)
    .option('--ignore-cluster', 'ask no cluster: the domain is cluster.local, and the namespace default unless it is said')
    .addOption(new Option('-o, --output <format>', 'yaml or json').choices(['yaml', 'json']).default('yaml'))
    .action(async (name: string, options: ProfileOptions) => {
      const ways = [options.template, options.openApi, options.proto].filter((way) => way !== undefined);
      if (ways.length !== 1) throw new CommandFailure('say one of --template, --open-api and --proto', EXIT_USAGE);
      const { linkerdNamespace } = context.globals();
      const service =
        options.ignoreCluster === true
          ? { name, namespace: options.namespace ?? DEFAULT_NAMESPACE, clusterDomain: DEFAULT_CLUSTER_DOMAIN }
          : await withCluster(context, async (cluster) => ({
              name,
              namespace: options.namespace ?? cluster.defaultNamespace,
              clusterDomain: await clusterDomain(cluster, linkerdNamespace),
            }));
      context.out(await profileText(service, options, context, input));
    });
}

/** The domain of the control plane's configuration. Rejects with ResourceError where there is none. */
export async function clusterDomain(reader: ClusterReader, controlPlane: string): Promise<string> {
  const { values } = await readMeshConfig(reader, controlPlane);
  const domain = textAt(values, 'clusterDomain');
  return domain === '' ? DEFAULT_CLUSTER_DOMAIN : domain;
}

/** The profile as it is printed. */
export async function profileText(
  service: ProfileService,
  { openApi, proto, output }: ProfileOptions,
  { err }: Pick<CommandContext, 'err'>,
  input: Input,
): Promise<string> {
  const file = openApi ?? proto;
  if (file === undefined) return templateText(service, output);
  const texts = await readSources([file], input);
  const [source] = texts;
  if (source === undefined || texts.length > 1) throw new CommandFailure(`${file} is a directory; say which file`);
  const routes = openApi === undefined ? protoRoutes(source.name, source.text) : openApiRoutes(source.name, source.text);
  if (routes.length === 0)
    err(`${source.name} describes no ${openApi === undefined ? 'method' : 'operation'}: the profile has no routes\n`);
  const profile = serviceProfile(service, routes);
  return output === 'json' ? `${JSON.stringify(profile, undefined, 2)}\n` : writeDocument({ ...profile });
}

function templateText(service: ProfileService, output: ProfileOptions['output']): string {
  const text = profileTemplate(service);
  if (output === 'yaml') return text;
  const [document] = readDocuments({ name: 'the template', text });
  return `${JSON.stringify(document?.object, undefined, 2)}\n`;
}

/** A Service's name (RFC 1035 label). Throws InvalidArgumentError. */
function serviceName(text: string): string {
  if (!/^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$/.test(text)) throw new InvalidArgumentError(`${text} is no name of a Service.`);
  return text;
}
