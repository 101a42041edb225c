// SPDX-License-Identifier: Apache-2.0
/*
 * The program of a node's first process, as a shell script: it makes the node's own view of the file system, starts the components one after another
 * with their output in files, and reaps what is orphaned. It is pid 1 of the node's process namespace, so ending it ends every process of the node.
 */
import { join } from 'node:path';
import { goTool } from '../../../tools/go-tools.ts';
import { CONTAINERD_SOCKET, CONTAINERD_STATE } from './configuration.ts';
import { CLUSTER_DOMAIN, type ClusterPlan, type NodePlan } from './plan.ts';

/** Kubelet would set these for the whole machine (panic on oops among them); it finds files with the wanted values instead and writes nothing. */
export const SHADOWED_SYSCTLS: Readonly<Record<string, string>> = {
  'vm/overcommit_memory': '1',
  'kernel/panic': '10',
  'kernel/panic_on_oops': '1',
};

/** The machine's directories that components or pods write to; the node sees copies. */
const COPIED_DIRECTORIES = ['/etc', '/opt', '/var/lib', '/var/log'];

/** Requests a second that controllers and scheduler may make; their default of 20 costs five seconds at a cold start. */
const CLIENT_LIMITS = ['--kube-api-qps=300', '--kube-api-burst=600'];

/** The archives that a node imports. */
export interface NodeImages {
  /** Needed by the cluster itself: before kubelet starts. */
  readonly system: readonly string[];
  /** Before the cluster counts as made. */
  readonly others: readonly string[];
}

/** One program of a node. */
export interface NodeProcess {
  readonly name: string;
  readonly argv: readonly string[];
}

const kubernetes = (name: string): string => goTool('kubernetes', name);

/** etcd, API server, controllers and scheduler: the programs of node 1 only. */
export function controlPlaneProcesses(plan: ClusterPlan): readonly NodeProcess[] {
  const pki = (file: string): string => join(plan.directory, 'pki', file);
  const clientOf = (name: string): readonly string[] =>
    ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map((flag) => `--${flag}=${pki(`${name}.conf`)}`);
  const services = `--service-cluster-ip-range=${plan.serviceRanges.join(',')}`;
  return [
    {
      name: 'etcd',
      argv: [
        kubernetes('etcd'),
        '--name=etcd',
        `--data-dir=${join(plan.directory, 'etcd')}`,
        '--listen-client-urls=http://127.0.0.1:2379',
        '--advertise-client-urls=http://127.0.0.1:2379',
        '--listen-peer-urls=http://127.0.0.1:2380',
        '--initial-advertise-peer-urls=http://127.0.0.1:2380',
        '--initial-cluster=etcd=http://127.0.0.1:2380',
        // Nothing of a test's cluster has to outlive a power cut.
        '--unsafe-no-fsync',
      ],
    },
    {
      name: 'kube-apiserver',
      argv: [
        kubernetes('kube-apiserver'),
        '--etcd-servers=http://127.0.0.1:2379',
        '--bind-address=0.0.0.0',
        `--advertise-address=${plan.nodes[0]?.addresses[0]}`,
        '--secure-port=6443',
        `--tls-cert-file=${pki('apiserver.crt')}`,
        `--tls-private-key-file=${pki('apiserver.key')}`,
        `--client-ca-file=${pki('ca.crt')}`,
        `--kubelet-client-certificate=${pki('apiserver-kubelet-client.crt')}`,
        `--kubelet-client-key=${pki('apiserver-kubelet-client.key')}`,
        `--kubelet-certificate-authority=${pki('ca.crt')}`,
        '--kubelet-preferred-address-types=InternalIP',
        services,
        '--authorization-mode=Node,RBAC',
        '--enable-admission-plugins=NodeRestriction',
        `--service-account-issuer=https://kubernetes.default.svc.${CLUSTER_DOMAIN}`,
        `--service-account-key-file=${pki('sa.pub')}`,
        `--service-account-signing-key-file=${pki('sa.key')}`,
        `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
        '--requestheader-allowed-names=front-proxy-client',
        '--requestheader-extra-headers-prefix=X-Remote-Extra-',
        '--requestheader-group-headers=X-Remote-Group',
        '--requestheader-username-headers=X-Remote-User',
        `--proxy-client-cert-file=${pki('front-proxy-client.crt')}`,
        `--proxy-client-key-file=${pki('front-proxy-client.key')}`,
        '--allow-privileged=true',
        '--profiling=false',
      ],
    },
    {
      name: 'kube-controller-manager',
      argv: [
        kubernetes('kube-controller-manager'),
        ...clientOf('controller-manager'),
        '--bind-address=127.0.0.1',
        '--leader-elect=false',
        '--use-service-account-credentials=true',
        `--service-account-private-key-file=${pki('sa.key')}`,
        `--root-ca-file=${pki('ca.crt')}`,
        `--cluster-signing-cert-file=${pki('ca.crt')}`,
        `--cluster-signing-key-file=${pki('ca.key')}`,
        // It would give the ranges in the order of registration; the plan gives them by number.
        '--allocate-node-cidrs=false',
        `--cluster-cidr=${plan.podRanges.join(',')}`,
        services,
        `--client-ca-file=${pki('ca.crt')}`,
        `--requestheader-client-ca-file=${pki('front-proxy-ca.crt')}`,
        ...CLIENT_LIMITS,
        '--profiling=false',
        // There are no volumes to attach, and its loop runs ten times a second.
        '--controllers=*,-persistentvolume-attach-detach-controller',
      ],
    },
    {
      name: 'kube-scheduler',
      argv: [
        kubernetes('kube-scheduler'),
        ...clientOf('scheduler'),
        '--bind-address=127.0.0.1',
        '--leader-elect=false',
        ...CLIENT_LIMITS,
        '--profiling=false',
      ],
    },
  ];
}

/** containerd, kubelet and kube-proxy of a node. */
export function workerProcesses(plan: ClusterPlan, node: NodePlan): readonly NodeProcess[] {
  const configuration = (file: string): string => `--config=${join(plan.directory, 'conf', file)}`;
  return [
    { name: 'containerd', argv: [goTool('containerd', 'containerd'), configuration(`${node.name}-containerd.toml`)] },
    {
      name: 'kubelet',
      argv: [
        kubernetes('kubelet'),
        configuration(`${node.name}-kubelet.json`),
        `--kubeconfig=${join(plan.directory, 'pki', `kubelet-${node.name}.conf`)}`,
        `--root-dir=${join(node.directory, 'kubelet')}`,
        `--hostname-override=${node.name}`,
        `--node-ip=${node.addresses.join(',')}`,
        `--node-labels=topology.kubernetes.io/zone=${node.zone}`,
        // Less idle work: it walks every cgroup each time.
        '--housekeeping-interval=30s',
        '--v=1',
      ],
    },
    { name: 'kube-proxy', argv: [kubernetes('kube-proxy'), configuration('kube-proxy.json'), `--hostname-override=${node.name}`] },
  ];
}

/** The whole script of a node, which imports `images` before anything can ask for them. */
export function nodeScript(plan: ClusterPlan, node: NodePlan, images: NodeImages): string {
  const conf = (file: string): string => join(plan.directory, 'conf', file);
  const ctr = [goTool('containerd', 'ctr'), '-a', CONTAINERD_SOCKET];
  const lines = [
    '#!/bin/bash',
    `hostname ${node.name}`,
    `while [ ! -e ${quote(networkReadyFile(plan))} ]; do sleep 0.02; done`,
    'mount --make-rshared /',
    ...COPIED_DIRECTORIES.filter((directory) => !node.directory.startsWith(`${directory}/`)).flatMap((directory) => {
      const [upper, work] = ['upper', 'work'].map((name) => join(node.directory, 'overlay', directory.slice(1).replace('/', '-'), name));
      return [
        `mkdir -p ${quote(upper ?? '')} ${quote(work ?? '')}`,
        `mount -t overlay overlay -o ${quote(`lowerdir=${directory},upperdir=${upper},workdir=${work}`)} ${directory}`,
      ];
    }),
    // Copies of these mounts would keep the machine's network namespaces alive; the rest of /run is other people's sockets.
    'umount -lR /run/netns 2>/dev/null',
    'mount -t tmpfs tmpfs /run',
    `mkdir -p ${CONTAINERD_STATE} /run/netns /run/containerd /var/log/containers /etc/cni/net.d /opt/cni/bin`,
    ...Object.keys(SHADOWED_SYSCTLS).map((name) => `mount --bind ${quote(conf(shadowFile(name)))} /proc/sys/${name}`),
    `rm -f /etc/resolv.conf && cp ${quote(conf('resolv.conf'))} /etc/resolv.conf`,
    `cp ${quote(conf(`${node.name}-cni.json`))} /etc/cni/net.d/10-bridge.conflist`,
    'start() { local name=$1; shift; "$@" >"$LOGS/$name.log" 2>&1 & }',
    `LOGS=${quote(join(plan.directory, 'log', node.name))}`,
  ];
  const start = ({ name, argv }: NodeProcess): string => `start ${name} ${argv.map(quote).join(' ')}`;
  if (node.number === 1) lines.push(...controlPlaneProcesses(plan).map(start));
  if (plan.nodeCount > 0) {
    const [containerd, ...others] = workerProcesses(plan, node);
    lines.push(
      'sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 net.ipv4.conf.all.rp_filter=0',
      ...(plan.ipFamily === 'dual' ? ['sysctl -qw net.ipv6.conf.all.forwarding=1 net.bridge.bridge-nf-call-ip6tables=1'] : []),
      // containerd looks for its shim there.
      `PATH=${quote(join(goTool('containerd', 'containerd'), '..'))}:$PATH`,
      ...(containerd === undefined ? [] : [start(containerd)]),
      'exec 3>"$LOGS/images.log"',
      `until ${ctr.map(quote).join(' ')} version >/dev/null 2>&1; do sleep 0.05; done`,
      `import() { ${ctr.map(quote).join(' ')} -n k8s.io images import "$1" >&3 2>&1; }`,
      // Kubelet has the sandbox's image before it asks; the large ones come while it starts.
      ...images.system.map((archive) => `import ${quote(archive)}`),
      ...others.map(start),
      [...images.others.map((archive) => `import ${quote(archive)}`), `: >${quote(imagesReadyFile(node))}`].join(' && '),
    );
  }
  // The shell reaps whatever else is left to pid 1 while it waits.
  lines.push("trap 'exit 0' TERM INT", 'while :; do wait -n 2>/dev/null; sleep 0.2; done', '');
  return lines.join('\n');
}

/** The file whose appearance tells the script that its links are there. */
export const networkReadyFile = (plan: ClusterPlan): string => join(plan.directory, 'network-ready');

/** The file whose appearance tells that the node has every image. */
export const imagesReadyFile = (node: NodePlan): string => join(node.directory, 'images-ready');

/** Name of the file that stands in for a sysctl. */
export const shadowFile = (sysctl: string): string => `sysctl-${sysctl.replace('/', '.')}`;

/** One word of a shell command line. */
export function quote(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
