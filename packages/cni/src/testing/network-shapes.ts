// SPDX-License-Identifier: Apache-2.0
/*
 * Network configurations in the shapes in which network plugins of Kubernetes write them: name of the file, layout, version of the CNI
 * specification, order of the keys, and what is peculiar to each. The values are ours; what matters to an installer is the shape.
 */

/** One plugin's configuration. */
export interface NetworkShape {
  /** Whose shape it is. */
  readonly plugin: string;
  readonly file: string;
  readonly text: string;
  /** The plugins of the list, in their order. */
  readonly types: readonly string[];
}

/** The shapes, one per network plugin. */
export const NETWORK_SHAPES: readonly NetworkShape[] = [
  {
    plugin: 'flannel',
    file: '10-flannel.conflist',
    types: ['flannel', 'portmap'],
    text: `{
  "name": "cbr0",
  "cniVersion": "0.3.1",
  "plugins": [
    {
      "type": "flannel",
      "delegate": { "hairpinMode": true, "isDefaultGateway": true }
    },
    {
      "type": "portmap",
      "capabilities": { "portMappings": true }
    }
  ]
}
`,
  },
  {
    plugin: 'Calico',
    file: '10-calico.conflist',
    types: ['calico', 'bandwidth', 'portmap'],
    // Its installer sorts the keys, so that the type of a plugin comes last.
    text: `{
  "cniVersion": "0.3.1",
  "name": "k8s-pod-network",
  "plugins": [
    {
      "container_settings": { "allow_ip_forwarding": false },
      "datastore_type": "kubernetes",
      "ipam": { "assign_ipv4": "true", "assign_ipv6": "false", "type": "calico-ipam" },
      "kubernetes": { "k8s_api_root": "https://10.96.0.1:443", "kubeconfig": "/etc/cni/net.d/calico-kubeconfig" },
      "log_file_max_age": 30,
      "log_level": "Info",
      "mtu": 0,
      "nodename_file_optional": false,
      "policy": { "type": "k8s" },
      "type": "calico"
    },
    {
      "capabilities": { "bandwidth": true },
      "type": "bandwidth"
    },
    {
      "capabilities": { "portMappings": true },
      "snat": true,
      "type": "portmap"
    }
  ]
}`,
  },
  {
    plugin: 'Cilium',
    file: '05-cilium.conflist',
    types: ['cilium-cni'],
    text: `
{
  "cniVersion": "0.3.1",
  "name": "cilium",
  "plugins": [
    {
       "type": "cilium-cni",
       "enable-debug": false,
       "log-file": "/var/run/cilium/cilium-cni.log"
    }
  ]
}
`,
  },
  {
    plugin: 'kindnet',
    file: '10-kindnet.conflist',
    types: ['ptp', 'portmap'],
    // A template leaves empty lines, and commas on lines of their own.
    text: `
{
\t"cniVersion": "0.3.1",
\t"name": "kindnet",
\t"plugins": [
\t{
\t\t"type": "ptp",
\t\t"ipMasq": false,
\t\t"ipam": {
\t\t\t"type": "host-local",
\t\t\t"dataDir": "/run/cni-ipam-state",
\t\t\t"routes": [


\t\t\t\t{ "dst": "0.0.0.0/0" }
\t\t\t],
\t\t\t"ranges": [


\t\t\t\t[ { "subnet": "10.244.1.0/24" } ]
\t\t\t]
\t\t}
\t\t,
\t\t"mtu": 1500

\t},
\t{
\t\t"type": "portmap",
\t\t"capabilities": {
\t\t\t"portMappings": true
\t\t}
\t}
\t]
}
`,
  },
  {
    plugin: 'bridge',
    file: '10-bridge.conflist',
    types: ['bridge', 'portmap', 'firewall', 'tuning'],
    text: '{"cniVersion":"1.0.0","name":"bridge","plugins":[{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,"ipam":{"type":"host-local","routes":[{"dst":"0.0.0.0/0"}],"ranges":[[{"subnet":"10.88.0.0/16"}]]}},{"type":"portmap","capabilities":{"portMappings":true}},{"type":"firewall"},{"type":"tuning"}]}',
  },
  {
    plugin: 'AWS VPC',
    file: '10-aws.conflist',
    types: ['aws-cni', 'egress-cni', 'portmap'],
    // Numbers and flags are texts, and CHECK is not to be called.
    text: `{
  "cniVersion": "0.4.0",
  "name": "aws-cni",
  "disableCheck": true,
  "plugins": [
    {
      "name": "aws-cni",
      "type": "aws-cni",
      "vethPrefix": "eni",
      "mtu": "9001",
      "podSGEnforcingMode": "strict",
      "capabilities": {"io.kubernetes.cri.pod-annotations": true}
    },
    {
      "name": "egress-cni",
      "type": "egress-cni",
      "mtu": "9001",
      "enabled": "false",
      "ipam": { "type": "host-local", "ranges": [[{"subnet": "169.254.172.0/22"}]], "routes": [{"dst": "0.0.0.0/0"}] }
    },
    {
      "type": "portmap",
      "capabilities": {"portMappings": true},
      "snat": true
    }
  ]
}
`,
  },
  {
    plugin: 'GKE',
    file: '10-gke-ptp.conflist',
    types: ['ptp', 'portmap'],
    text: `{
  "name": "gke-pod-network",
  "cniVersion": "0.3.1",
  "disableCheck": true,
  "plugins": [{
    "type": "ptp",
    "mtu": 1460,
    "ipam": {
        "type": "host-local",
        "subnet": "10.8.0.0/24",
        "routes": [ {"dst": "0.0.0.0/0"} ]
    }
  },{
    "type": "portmap",
    "capabilities": {
      "portMappings": true
    },
    "noSnat": true
  }]
}
`,
  },
  {
    plugin: 'kube-router',
    file: '10-kuberouter.conflist',
    types: ['bridge', 'portmap'],
    text: `{
   "cniVersion":"0.3.0",
   "name":"mynet",
   "plugins":[
      {
         "name":"kubernetes",
         "type":"bridge",
         "bridge":"kube-bridge",
         "isDefaultGateway":true,
         "hairpinMode":true,
         "ipam":{
            "type":"host-local",
            "subnet":"10.244.2.0/24"
         }
      },
      {
         "type":"portmap",
         "capabilities":{
            "snat":true,
            "portMappings":true
         }
      }
   ]
}
`,
  },
  {
    plugin: 'OVN-Kubernetes',
    file: '10-ovn-kubernetes.conf',
    types: ['ovn-k8s-cni-overlay'],
    // A single configuration, in one line.
    text: '{"cniVersion":"1.1.0","name":"ovn-kubernetes","type":"ovn-k8s-cni-overlay","ipam":{},"dns":{},"logFile":"/var/log/ovn-kubernetes/ovn-k8s-cni-overlay.log","logLevel":"5","logfile-maxsize":100}\n',
  },
];
