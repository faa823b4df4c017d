import { expect, test } from "bun:test";
import { limitBeforeRaise } from "../../src/process/environment/descriptor-limit.ts";
import { exactEntries, shellKeeps } from "../../src/process/environment/exact-environment.ts";
import { place, started } from "./started-process.ts";

test("exactEntries: keeps the bytes of what was not changed, and names that no text has", () => {
  const inherited = ["A=1", "X=\xff", "Y=\xfe", "N\xff=1", "=q", "noequals", "Z=1", "Z=2"];
  const env = { A: "1", X: "\ufffd", Y: "mine", Z: "1", NEW: "ü" };
  expect(exactEntries(env, inherited)).toEqual([
    "A=1",
    "X=\xff",
    "N\xff=1",
    "=q",
    "Z=1",
    "Z=2",
    "Y=mine",
    "NEW=\xc3\xbc",
  ]);
});

test("exactEntries: a variable that was withheld stays away", () => {
  expect(exactEntries({}, ["AGENT_COORDINATOR_TOKEN=secret"])).toEqual([]);
});

test.each([
  [["A=1", "_B=\xc3\xbc", "PATH=/bin"], true],
  [["my.var=1"], false],
  [["A=\xff"], false],
  [["A=1", "A=2"], false],
  [["IFS=x"], false],
  [["BASH_FUNC_f%%=() { :; }"], false],
])("shellKeeps: %j in dash is %p", (entries, expected) => {
  expect(shellKeeps(entries, "dash")).toBe(expected);
});

test("shellKeeps: no other shell is trusted", () => {
  expect(shellKeeps(["A=1"], "bash")).toBe(false);
  expect(shellKeeps(["A=1"], "busybox")).toBe(false);
});

test.if(process.platform === "linux")(
  "spawnExecutor: variables that a shell would change arrive unchanged",
  async () => {
    using at = place();
    const env = { "my.var": "1", IFS: "x", OPTIND: "7", PATH: process.env["PATH"] ?? "" };
    const request = { env, inherited: ["BAD=\xff\xfe", "N\xff=1"] };
    await using run = started(
      at.request(["cat", "/proc/self/environ"], { ...request, env: { ...env, BAD: "\ufffd\ufffd" } }),
    );
    expect(await run.process.exited).toEqual({ code: 0, signal: null });
    // The tail is decoded: the end-to-end test compares the bytes.
    expect(run.stdout().split("\0").filter(Boolean).toSorted()).toEqual(
      ["BAD=\ufffd\ufffd", "N\ufffd=1", "my.var=1", "IFS=x", "OPTIND=7", `PATH=${env.PATH}`].toSorted(),
    );
  },
);

test.if(process.platform === "linux")(
  "spawnExecutor: such an executor inherits no descriptor and no ignored signal",
  async () => {
    using at = place();
    const env = { "my.var": "1", PATH: process.env["PATH"] ?? "" };
    // The shell reads by itself: while it starts another program, it blocks all signals.
    const read = 'while read -r line; do case $line in SigBlk*|SigIgn*) echo "$line" ;; esac; done </proc/$$/status';
    const script = `ls /proc/$$/fd; ${read}; exit 7`;
    await using run = started(at.request(["sh", "-c", script], { env }));
    expect(await run.process.exited).toEqual({ code: 7, signal: null });
    const [descriptors = "", signals = ""] = run.stdout().split("SigBlk:");
    expect(descriptors.split("\n").filter((fd) => Number(fd) > 2)).toEqual([]);
    expect(signals.replaceAll(/SigIgn:|\s|0/g, "")).toBe("");
  },
);

test("spawnExecutor: such an executor's signal is reported", async () => {
  using at = place();
  await using run = started(
    at.request(["sh", "-c", "kill -TERM $$; sleep 60"], { env: { "my.var": "1", PATH: process.env["PATH"] ?? "" } }),
  );
  expect(await run.process.exited).toEqual({ code: null, signal: "SIGTERM" });
});

test.each([
  ["a shell's", { soft: 20_000, hard: 20_000 }, { soft: 1024, hard: 20_000 }, 1024],
  ["a parent that raised it too", { soft: 20_000, hard: 20_000 }, { soft: 20_000, hard: 20_000 }, null],
  ["systemd's default", { soft: 524_288, hard: 524_288 }, { soft: 1_073_741_816, hard: 1_073_741_816 }, 1024],
  ["limits of our own", { soft: 4096, hard: 4096 }, { soft: 1024, hard: 20_000 }, null],
  ["unknown", null, null, null],
])("limitBeforeRaise: %s", (_what, own, parent, expected) => {
  expect(limitBeforeRaise(own, parent)).toBe(expected);
});
