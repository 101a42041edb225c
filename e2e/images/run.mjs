// SPDX-License-Identifier: Apache-2.0
/*
 * `npm run test:images`: builds the images and tests what is in them, and that they run: imported by a containerd of their own, started by runc as
 * a kubelet would. The last line is `N passed, N failed`.
 */
import { spawnSync } from 'node:child_process';
import { bootstrap } from '../../tools/bootstrap.mjs';
import { fail, finish, suite } from '../../tools/run-suite.mjs';
import { prepareSystem } from '../../tools/system-packages.mjs';

bootstrap();
const problem = prepareSystem({
  ip: 'iproute2',
  'iptables-nft': 'iptables',
  nsenter: 'util-linux',
  setcap: 'libcap2-bin',
  containerd: 'containerd',
  runc: 'runc',
  gcc: 'gcc',
  'aarch64-linux-gnu-gcc': 'gcc-aarch64-linux-gnu',
  'qemu-aarch64-static': 'qemu-user-static',
  'dpkg-deb': 'dpkg',
  curl: 'curl',
});
if (problem !== undefined) fail(1, problem);
else if (spawnSync(process.execPath, ['tools/images.mjs'], { stdio: 'inherit' }).status !== 0) fail(1, 'the images could not be built');
else suite('images', 'e2e/images/vitest.config.ts');
finish();
