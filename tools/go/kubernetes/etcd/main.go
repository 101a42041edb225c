// SPDX-License-Identifier: Apache-2.0

// etcd, of the version that k8s.io/kubernetes itself requires: its own main package is not in the server's module.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}
