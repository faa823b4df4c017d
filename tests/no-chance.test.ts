import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

/** What makes the outcome of a test depend on who is first, where a line shows it. */
const RULES: readonly { readonly name: string; readonly finds: RegExp; readonly unless?: RegExp }[] = [
  {
    name: "a wait with a deadline under a minute: leave it out",
    finds:
      /\b(?:until|reached|line|file|waitFor)\(.*(?:, |timeout: )(?!(?:6|7|8|9)\d_000|\d{3,}_000)\d[\d_]{2,}(?: \})?\)/,
  },
  {
    name: "an upper bound in milliseconds: compare with AT_ONCE_MS",
    finds: /expect\((?:performance|Date)\.now\(\) - .*toBeLessThan/,
    unless: /AT_ONCE_MS/,
  },
  { name: "a request with a short time-out: use AT_ONCE_MS", finds: /\bsignal: AbortSignal\.timeout\(\d/ },
  {
    name: "a part of a prompt: a parent's prompt has its children's in it, so compare the whole",
    finds: /\bprompt\??\.includes\(/,
  },
];

/** A pause proves nothing, so a comment says what it is for. */
const PAUSE = /\b(?:Bun\.sleep|sleepSync)\((?!0\)|NOT_AN_ECHO_MS\))/;
/** Files in which several tests share a coordinator: runs of other tests come and go. */
const SHARES_WORLD = /\bshared(?:Dashboard|ClaudeWorld)\(/;
const COUNTS_WORLD = /\bapi\.runs\(\)/;

function chancesIn(text: string): string[] {
  const lines = text.split("\n");
  return lines.flatMap((line, i) => {
    const found = RULES.filter(({ finds, unless }) => finds.test(line) && unless?.test(line) !== true).map(
      ({ name }) => name,
    );
    const hasComment = [lines[i - 1], line].some((each) => each !== undefined && /\/\/|^ +\*/.test(each));
    if (PAUSE.test(line) && !hasComment) found.push("a pause without a comment that says what it is for");
    if (SHARES_WORLD.test(text) && COUNTS_WORLD.test(line))
      found.push("all runs of a world that several tests share: ask for those of a session");
    return found.map((name) => `${i + 1}: ${name}`);
  });
}

test("no test waits, pauses or counts in a way that a busy machine or another test can spoil", () => {
  const folder = import.meta.dir;
  const files = [...new Bun.Glob("**/*.test.ts").scanSync({ cwd: folder })].sort();
  expect(files.length).toBeGreaterThan(200);
  const own = import.meta.file;
  const chances = files
    .filter((file) => file !== own)
    .flatMap((file) => chancesIn(readFileSync(join(folder, file), "utf8")).map((chance) => `${file}:${chance}`));
  expect(chances).toEqual([]);
});

test.each([
  'await until("the end", () => ended, 4_000);',
  "await runner.line(/Started/, 20_000);",
  'await page.getByText("x").waitFor({ timeout: 40_000 });',
  "expect(performance.now() - startMs).toBeLessThan(1_000);",
  "await fetch(url, { signal: AbortSignal.timeout(3_000) });",
  'runs.filter(({ prompt }) => prompt.includes("third"));',
  "await Bun.sleep(500);",
  "const d = sharedDashboard();\nexpect(await api.runs()).toHaveLength(1);",
])("chancesIn finds %j", (text) => {
  expect(chancesIn(text)).toHaveLength(1);
});

test.each([
  'await until("the end", () => ended);',
  'await until("the end", () => ended, 60_000);',
  'await until("the end", () => list.length === 2);',
  "await runner.line(/Started/, START_MS);",
  "expect(performance.now() - startMs).toBeLessThan(AT_ONCE_MS);",
  "// The page has time for what it must not do.\nawait Bun.sleep(500);",
  "await Bun.sleep(0);",
  "expect(await api.runs()).toHaveLength(1);",
])("chancesIn allows %j", (text) => {
  expect(chancesIn(text)).toEqual([]);
});
