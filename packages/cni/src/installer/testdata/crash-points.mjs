// SPDX-License-Identifier: Apache-2.0
/*
 * Runs `ensure` and `remove` of the installer again and again, each time stopping dead one change of the file system later: from there on
 * no call ever comes back, so that no clean-up runs either, as after SIGKILL. Prints what the host looked like, as JSON. Arguments: the
 * installer's settings, and the host's files before, both JSON.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import process from 'node:process';

let left = Number.POSITIVE_INFINITY;
let stop = () => undefined;

/** Counts a change; at the last one the run stops, before it happens. */
function counted(call) {
  return (...args) => {
    if (left-- > 0) return call(...args);
    stop();
    return new Promise(() => undefined);
  };
}

for (const name of ['chmod', 'chown', 'rename', 'rm']) fs[name] = counted(fs[name]);
const { open } = fs;
/** Runs that stopped never close theirs, and a collected handle would end the process. */
const handles = [];
fs.open = counted(async (...args) => {
  const file = await open(...args);
  handles.push(file);
  // Durability is not what is looked at here, and syncing takes most of the time.
  file.sync = counted(() => Promise.resolve());
  file.writeFile = counted(file.writeFile.bind(file));
  return file;
});
syncBuiltinESMExports();

const { Installer } = await import('@weft/cni');
const { Logger } = await import('@weft/telemetry');
const settings = JSON.parse(process.argv[2]);
const files = JSON.parse(process.argv[3]);
const directories = [settings.netDir, settings.binDir].map((directory) => join(settings.mountPrefix, directory));

function reset() {
  rmSync(settings.mountPrefix, { recursive: true, force: true });
  for (const directory of directories) mkdirSync(directory, { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(settings.mountPrefix, path), text);
}

/** Content and permissions of every file. */
function snapshot() {
  const found = {};
  for (const directory of directories) {
    for (const name of readdirSync(directory)) {
      const path = join(directory, name);
      found[path.slice(settings.mountPrefix.length)] = `${(statSync(path).mode & 0o777).toString(8)} ${readFileSync(path, 'utf8')}`;
    }
  }
  return found;
}

const installer = () => new Installer(settings, Logger.silent());
const points = [];
for (const operation of ['ensure', 'remove']) {
  for (let isWhole = false, changes = 0; !isWhole; changes++) {
    reset();
    if (operation === 'remove') await installer().ensure();
    const stopped = new Promise((resolve) => (stop = () => resolve(false)));
    left = changes;
    isWhole = await Promise.race([stopped, installer()[operation]().then(() => true)]);
    left = Number.POSITIVE_INFINITY;
    const crashed = snapshot();
    const next = installer();
    await next.sweep();
    await next.ensure();
    const installed = snapshot();
    await next.remove();
    points.push({ operation, changes, crashed, installed, removed: snapshot() });
  }
}
process.stdout.write(JSON.stringify(points));
