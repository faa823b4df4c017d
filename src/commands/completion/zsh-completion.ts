import type { CommandModel, OptionModel, ValueKind } from "./command-model.ts";

/** A script for zsh's completion system: a file `_agent-runner` on the fpath, or sourced after compinit. */
export function zshCompletion(commands: readonly CommandModel[]): string {
  const [root, ...others] = commands;
  return `#compdef agent-runner
# Completion of agent-runner for zsh. Made by: agent-runner completion zsh

_agent_runner_names() {
  local -a names
  # _arguments puts its options for compadd before our word.
  names=(\${(f)"$(_call_program names agent-runner completion $argv[-1] 2>/dev/null)"})
  compadd "\${(@)argv[1,-2]}" -a names
}

_agent_runner_commands() {
  local -a commands
  commands=(
${others.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`).join("\n")}
  )
  _describe -t commands command commands
}

_agent-runner() {
  local context state state_descr line ret=1
  typeset -A opt_args
  _arguments -C \\
${specs(root?.options ?? []).join("\n")}
    '1: :_agent_runner_commands' \\
    '*:: :->rest' && ret=0
  [[ $state == rest ]] || return ret
  case $line[1] in
${others.map(commandCase).join("\n")}
  esac
}

if [[ $funcstack[1] == _agent-runner ]]; then
  _agent-runner "$@"
else
  compdef _agent-runner agent-runner
fi
`;
}

function commandCase({ name, options, positionals }: CommandModel): string {
  const words = positionals.map(({ name, kind }, i) => {
    const action = kind === "run" ? "_agent_runner_names runs" : actionOf(kind);
    return `    ${quoted(`${i + 1}:${name}:${action}`)} \\`;
  });
  const lines = [...specs(options), ...words];
  return `    ${name})\n      _arguments \\\n${lines.join("\n").replace(/ \\$/, "")} && ret=0\n      ;;`;
}

function specs(options: readonly OptionModel[]): string[] {
  return options.map(({ long, short, value, description }) => {
    const text = `[${description.replaceAll("[", "(").replaceAll("]", ")").replaceAll(":", "\\:")}]`;
    const action = value === null ? "" : `:${value.hint.replaceAll("|", " or ")}:${actionOf(value.kind)}`;
    const names =
      short === null
        ? quoted(`${long}${text}${action}`)
        : `${quoted(`(${short} ${long})`)}{${short},${long}}${quoted(`${text}${action}`)}`;
    return `    ${names} \\`;
  });
}

function actionOf(kind: ValueKind): string {
  switch (kind) {
    case "file":
      return "_files";
    case "folder":
      return "_files -/";
    case "executor":
      return "_agent_runner_names executors";
    case "text":
      return "";
    default:
      return `(${kind.join(" ")})`;
  }
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
