import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BINARY } from "../harness/binary.ts";
import { tempFolder } from "../harness/temp-folder.ts";

setDefaultTimeout(60_000);

const isLinux = process.platform === "linux";

// Its own shell changes variables for its children, so it shows its own block.
const EXECUTOR = `#!/bin/sh
cat /proc/$$/environ >environ
ulimit -Sn >limit
cat >/dev/null
`;

/** Runs one sample run under \`words\`, a shell's command line, and returns what its executor saw. */
async function seenUnder(words: string): Promise<{ entries: string[]; limit: string }> {
  using folder = tempFolder();
  const executor = join(folder.path, "executors", "shows", "ao-shows-exec");
  mkdirSync(join(folder.path, "executors", "shows"), { recursive: true });
  writeFileSync(executor, EXECUTOR);
  chmodSync(executor, 0o755);
  const script = `${words} "$1" up --port 0 -e "$2" --state-dir "$3" --sample --once; exit $?`;
  const child = Bun.spawn(["/bin/sh", "-c", script, "sh", BINARY, executor, join(folder.path, "state")], {
    cwd: folder.path,
    env: { HOME: folder.path, PATH: process.env["PATH"] ?? "" },
    stdout: "pipe",
    stderr: "pipe",
  });
  await child.exited;
  const read = (name: string): string => readFileSync(join(folder.path, name), "latin1");
  return { entries: read("environ").split("\0"), limit: read("limit").trim() };
}

test.if(isLinux)("the executor gets variables of any name and any bytes as the runner inherited them", async () => {
  const odd = "env my.var=1 a-b=2 SHLVL=3 IFS=x \"BAD=$(printf 'caf\\351')\" \"$(printf 'N\\377')=1\"";
  const { entries } = await seenUnder(odd);
  const expected = ["my.var=1", "a-b=2", "SHLVL=3", "IFS=x", "BAD=caf\xe9", "N\xff=1"];
  expect(entries).toEqual(expect.arrayContaining(expected));
});

test.if(isLinux)("the executor gets the soft limit of open files that the runner was started with", async () => {
  expect((await seenUnder("ulimit -Sn 777;")).limit).toBe("777");
  expect((await seenUnder("ulimit -Sn 777; env my.var=1")).limit).toBe("777");
});
