import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { COMMANDS } from "../../src/commands/command-table.ts";
import { BINARY } from "../harness/binary.ts";
import { TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

const hasShell = (shell: string): boolean => process.platform !== "win32" && Bun.which(shell) !== null;

/** The completions of the shell after these words; the cursor is at the end of the last. */
type Complete = (world: World, words: readonly string[]) => Promise<string[]>;

async function shell(world: World, command: readonly string[], script: string): Promise<string[]> {
  const folder = join(world.home, "bin");
  mkdirSync(folder, { recursive: true });
  const program = join(folder, "agent-runner");
  if (!(await Bun.file(program).exists())) symlinkSync(BINARY, program);
  const file = join(world.home, "script");
  writeFileSync(file, script);
  const env = {
    PATH: `${folder}:${process.env["PATH"] ?? ""}`,
    HOME: world.home,
    TERM: "dumb",
    XDG_CONFIG_HOME: join(world.home, "config"),
  };
  const child = Bun.spawn([...command, file], {
    cwd: world.projectDir,
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  expect(err).toBe("");
  return out
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
}

const bash: Complete = async (world, words) => {
  const list = ["agent-runner", ...words].map((word) => `'${word}'`).join(" ");
  const script = [
    "source <(agent-runner completion bash)",
    `COMP_WORDS=(${list})`,
    `COMP_CWORD=${words.length}`,
    "_agent_runner",
    `printf '%s\\n' "\${COMPREPLY[@]}"`,
  ];
  return shell(world, ["bash", "--norc"], `${script.join("\n")}\n`);
};

const fish: Complete = async (world, words) => {
  const line = ["agent-runner", ...words].join(" ");
  const offered = await shell(
    world,
    ["fish", "--no-config"],
    `agent-runner completion fish | source\ncomplete -C '${line}'\n`,
  );
  return offered.map((text) => text.split("\t")[0] ?? "");
};

/** Presses the tab key in a zsh on a pseudo-terminal. The inner zsh prints its completions with the prefix OFFER. */
const zsh: Complete = async (world, words) => {
  const line = ["agent-runner", ...words].join(" ");
  const inner = [
    "PS1=; autoload -U compinit; compinit -u -D",
    "source <(agent-runner completion zsh)",
    "zstyle ':completion:*' list-prompt ''; zstyle ':completion:*' select-prompt ''; LISTMAX=1000; unsetopt autolist",
    'record() { local -a m; builtin compadd -O m "$@"; print -l OFFER:$^m }',
    'offer() { compstate[insert]=; compadd() { record "$@" }; _main_complete; print END-OF-OFFERS; }',
    "zle -C offer complete-word offer; bindkey '^I' offer; print READY-$((1+1))",
  ];
  const script = [
    "zmodload zsh/zpty; zpty inner zsh -f",
    ...inner.map((text) => `zpty -w inner ${JSON.stringify(text).replaceAll("$", "\\$").replaceAll("`", "\\`")}`),
    "zpty -r inner seen '*READY-2*'",
    `zpty -n -w inner '${line}'$'\\t'`,
    "zpty -r inner seen '*END-OF-OFFERS*'; print -r -- $seen; zpty -d inner",
  ];
  const lines = await shell(world, ["zsh", "-f"], `${script.join("\n")}\n`);
  // zsh adds names and descriptions separately, so names come twice.
  return [...new Set(lines.flatMap((text) => /OFFER:(\S+)/.exec(text)?.[1] ?? []))];
};

for (const [name, complete] of [
  ["bash", bash],
  ["fish", fish],
  ["zsh", zsh],
] as const) {
  test.skipIf(!hasShell(name))(`${name}: completes commands, options, choices and names`, async () => {
    await using world = new World();
    const commands = await complete(world, ["s"]);
    expect(commands.toSorted()).toEqual(
      Object.keys(COMMANDS)
        .filter((command) => command.startsWith("s"))
        .toSorted(),
    );
    expect(await complete(world, ["up", "--sam"])).toEqual(["--sample"]);
    expect(await complete(world, ["-x", "up", "coordinator", "--cal"])).toEqual(["--callbacks"]);
    expect((await complete(world, ["--log-format", ""])).toSorted()).toEqual(["json", "text"]);
    expect(await complete(world, ["service", "un"])).toEqual(["uninstall"]);
    expect(await complete(world, ["up", "--executor", "test"])).toEqual(["test-executor"]);
  });
}

test.skipIf(!hasShell("bash"))(
  "bash: stop completes the runs of the coordinator, and nothing without one",
  async () => {
    await using world = new World();
    expect(await bash(world, ["stop", "run_"])).toEqual([]);
    const { api } = await world.coordinator();
    const { run_id } = await api.submit("x");
    const { stdout } = await world.run(["completion", "runs", "-c", api.url]);
    expect(stdout).toBe(`${run_id}\n`);
  },
);

test("completion man: the page has every command and option", async () => {
  await using world = new World();
  const { code, stdout } = await world.run(["completion", "man"]);
  expect(code).toBe(0);
  for (const name of Object.keys(COMMANDS)) expect(stdout).toContain(`.SS agent\\-runner ${name}`);
  for (const option of ["\\-\\-max\\-concurrent", "\\-\\-metrics", "\\-\\-sample"])
    expect(stdout).toContain(`\\fB${option}\\fR`);
});

test.skipIf(Bun.which("mandoc") === null)("completion man: mandoc reports only the missing date", async () => {
  await using world = new World();
  const { stdout } = await world.run(["completion", "man"]);
  const lint = Bun.spawn(["mandoc", "-Tlint", "-W", "warning"], {
    stdin: Buffer.from(stdout),
    stdout: "pipe",
    stderr: "pipe",
  });
  const output = (await new Response(lint.stdout).text()) + (await new Response(lint.stderr).text());
  expect(output.split("\n").filter((line) => line !== "" && !line.includes("missing date"))).toEqual([]);
});
