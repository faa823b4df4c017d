import { expect, test } from "bun:test";
import { join } from "node:path";

const MODULE = join(import.meta.dir, "../../src/executor-kit/read-stdin.ts");

async function read(text: string, maxBytes: number): Promise<{ stdout: string; stderr: string }> {
  const program = `import { readStdin } from ${JSON.stringify(MODULE)};
    console.log((await readStdin(new AbortController().signal, ${maxBytes})).length);`;
  const child = Bun.spawn([process.execPath, "-e", program], {
    stdin: new Blob([text]),
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { stdout, stderr };
}

test("readStdin reads all of stdin across many chunks", async () => {
  expect((await read("ä".repeat(500_000), 1_000_000)).stdout).toBe("500000\n");
});

test("readStdin rejects input above its limit", async () => {
  expect((await read("x".repeat(1001), 1000)).stderr).toContain("the invocation on stdin is larger than 1000 bytes");
});
