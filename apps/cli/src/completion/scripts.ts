// SPDX-License-Identifier: Apache-2.0
/*
 * Completion scripts. Each holds the program's words as data and one function; names of namespaces and resources are asked of kubectl
 * when the user presses the key, so a script need not run this program.
 */
import type { CommandWord, FlagWord, LiveValues } from './word-tree.ts';

/** Shells with a script. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;
/** One of them. */
export type Shell = (typeof SHELLS)[number];

/** Commands that print live values, one a line; `resources` in the form that kubectl takes, `deploy/web`. */
const LIVE_COMMANDS: Readonly<Record<Exclude<LiveValues, 'files'>, string>> = {
  namespaces: 'kubectl get namespaces -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\n"}{end}\' 2>/dev/null',
  contexts: 'kubectl config get-contexts -o name 2>/dev/null',
  resources: 'kubectl get deploy,statefulset,daemonset,pod -o name 2>/dev/null | sed "s/[.]apps//"',
};

/** The script of a shell. */
export function completionScript(shell: Shell, root: CommandWord): string {
  switch (shell) {
    case 'bash':
      return bashScript(root);
    case 'zsh':
      return zshScript(root);
    case 'fish':
      return fishScript(root);
  }
}

interface Place {
  readonly path: string;
  readonly command: CommandWord;
}

/** Every command with the words that lead to it. */
function placesOf(command: CommandWord, path = ''): Place[] {
  return [{ path, command }, ...command.commands.flatMap((child) => placesOf(child, path === '' ? child.name : `${path} ${child.name}`))];
}

/** Single-quoted for a POSIX shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function liveFunctions(prefix: string): string {
  return Object.entries(LIVE_COMMANDS)
    .map(([name, command]) => `${prefix}_${name}() {\n  ${command}\n}\n`)
    .join('');
}

/** One branch for each flag with a value, by command and flag: `-o` is not the same everywhere. The root's flags are every command's. */
function flagCases(places: readonly Place[], action: (flag: FlagWord) => string): string {
  return places
    .toSorted((first, second) => second.path.length - first.path.length)
    .flatMap(({ path, command }) =>
      command.flags
        .filter(({ takesValue }) => takesValue)
        .map((flag) => {
          const prefix = path === '' ? '*:' : quoted(`${path}:`);
          return `    ${flag.names.map((name) => `${prefix}${name}`).join('|')}) ${action(flag)} ;;\n`;
        }),
    )
    .join('');
}

function bashScript(root: CommandWord): string {
  const places = placesOf(root);
  const words = places
    .map(({ path, command }) => {
      const flags = [...command.flags, ...(path === '' ? [] : root.flags)].flatMap(({ names }) => names);
      const all = [...command.commands.map(({ name }) => name), ...command.choices, ...new Set(flags)];
      return `    ${quoted(path)}) words=${quoted(all.join(' '))}; live=${quoted(command.live ?? '')} ;;\n`;
    })
    .join('');
  const commands = places.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `# bash completion for weft
${liveFunctions('__weft')}
__weft_is_command() {
  case "$1" in
    ${commands.join('|')}) return 0 ;;
  esac
  return 1
}

__weft_value() {
  case "$1" in
${flagCases(places, bashValue)}    *) return 1 ;;
  esac
}

__weft() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} path='' words='' live='' index word
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    if __weft_is_command "\${path:+$path }$word"; then path="\${path:+$path }$word"; fi
  done
  if [[ $previous == -* ]] && __weft_value "$path:$previous"; then return; fi
  case "$path" in
${words}  esac
  case "$live" in
    files) mapfile -t COMPREPLY < <(compgen -f -W "$words" -- "$current"); return ;;
    ?*) if [[ $current != -* ]]; then words="$words $("__weft_$live")"; fi ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F __weft weft
`;
}

function bashValue(flag: FlagWord): string {
  if (flag.choices.length > 0) return `mapfile -t COMPREPLY < <(compgen -W ${quoted(flag.choices.join(' '))} -- "$current")`;
  if (flag.live === 'files') return 'mapfile -t COMPREPLY < <(compgen -f -- "$current")';
  return flag.live === undefined ? ':' : `mapfile -t COMPREPLY < <(compgen -W "$(__weft_${flag.live})" -- "$current")`;
}

function zshScript(root: CommandWord): string {
  const places = placesOf(root);
  const entry = (name: string, description: string): string => quoted(`${name.replaceAll(':', '\\:')}:${description}`);
  const words = places
    .map(({ path, command }) => {
      const commands = command.commands.map(({ name, description }) => entry(name, description));
      const choices = command.choices.map((choice) => entry(choice, ''));
      const flags = [...command.flags, ...(path === '' ? [] : root.flags)].flatMap(({ names, description }) =>
        names.map((name) => entry(name, description)),
      );
      return `    ${quoted(path)}) candidates=(${[...commands, ...choices].join(' ')}); flags=(${flags.join(' ')}); live=${quoted(command.live ?? '')} ;;\n`;
    })
    .join('');
  const commands = places.filter(({ path }) => path !== '').map(({ path }) => quoted(path));
  return `#compdef weft
# zsh completion for weft
${liveFunctions('__weft')}
__weft_is_command() {
  case "$1" in
    ${commands.join('|')}) return 0 ;;
  esac
  return 1
}

__weft_value() {
  case "$1" in
${flagCases(places, zshValue)}    *) return 1 ;;
  esac
}

_weft() {
  local place='' live='' word current="\${words[CURRENT]}" previous="\${words[CURRENT-1]}"
  local -a candidates flags
  for word in \${words[2,CURRENT-1]}; do
    if __weft_is_command "\${place:+$place }$word"; then place="\${place:+$place }$word"; fi
  done
  if [[ $previous == -* ]] && __weft_value "$place:$previous"; then return; fi
  case "$place" in
${words}  esac
  if [[ $current == -* ]]; then _describe -t flags flag flags; return; fi
  case "$live" in
    files) _files ;;
    ?*) compadd -- \${(f)"$("__weft_$live")"} ;;
  esac
  if (( \${#candidates} )); then _describe -t commands command candidates; fi
}
if [[ "\${funcstack[1]}" == _weft ]]; then _weft "$@"; else compdef _weft weft; fi
`;
}

function zshValue(flag: FlagWord): string {
  if (flag.choices.length > 0) return `compadd -- ${flag.choices.map(quoted).join(' ')}`;
  if (flag.live === 'files') return '_files';
  return flag.live === undefined ? ':' : `compadd -- \${(f)"$(__weft_${flag.live})"}`;
}

function fishScript(root: CommandWord): string {
  const lines: string[] = ['# fish completion for weft', 'complete -c weft -f'];
  // What the functions hold means the same in fish as in a POSIX shell.
  for (const [name, command] of Object.entries(LIVE_COMMANDS)) lines.push(`function __weft_${name}\n    ${command}\nend`);
  for (const { path, command } of placesOf(root)) {
    const steps = path === '' ? [] : path.split(' ');
    const inside = steps.map((step) => `__fish_seen_subcommand_from ${step}`).join('; and ');
    const children = command.commands.map(({ name }) => name);
    const notYet = children.length === 0 ? '' : `not __fish_seen_subcommand_from ${children.join(' ')}`;
    const both = [inside, notYet].filter((part) => part !== '').join('; and ');
    const at = (condition: string): string => (condition === '' ? '' : ` -n ${fishQuoted(condition)}`);
    for (const child of command.commands) {
      lines.push(`complete -c weft${at(both)} -a ${fishQuoted(child.name)} -d ${fishQuoted(child.description)}`);
    }
    for (const choice of command.choices) lines.push(`complete -c weft${at(inside)} -a ${fishQuoted(choice)}`);
    if (command.live === 'files') lines.push(`complete -c weft${at(inside)} -F`);
    else if (command.live !== undefined) lines.push(`complete -c weft${at(inside)} -a '(__weft_${command.live})'`);
    for (const flag of command.flags) lines.push(`complete -c weft${at(inside)}${fishFlag(flag)}`);
  }
  return `${lines.join('\n')}\n`;
}

function fishFlag({ names, description, takesValue, choices, live }: FlagWord): string {
  const parts = names.map((name) => (name.startsWith('--') ? ` -l ${name.slice(2)}` : ` -s ${name.slice(1)}`));
  if (takesValue) parts.push(live === 'files' ? ' -r -F' : ' -x');
  if (choices.length > 0) parts.push(` -a ${fishQuoted(choices.join(' '))}`);
  else if (live !== undefined && live !== 'files') parts.push(` -a '(__weft_${live})'`);
  return `${parts.join('')} -d ${fishQuoted(description)}`;
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
