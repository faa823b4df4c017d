import { describeError } from "../errors.ts";

/** How a system program ended. `missing`: the program could not be started. */
export type ToolEnd =
  | { readonly kind: "ended"; readonly code: number; readonly output: string }
  | { readonly kind: "missing"; readonly why: string };

/**
 * Runs a system program, such as `systemctl`, to its end. `show`: it inherits stdout and stderr, and `output` is
 * empty.
 */
export async function runTool(command: readonly string[], options: { readonly show: boolean }): Promise<ToolEnd> {
  const stream = options.show ? "inherit" : "pipe";
  try {
    const child = Bun.spawn([...command], { stdin: "ignore", stdout: stream, stderr: stream });
    const text = (from: ReadableStream | undefined): Promise<string> =>
      from === undefined ? Promise.resolve("") : new Response(from).text();
    const [code, out, err] = await Promise.all([child.exited, text(child.stdout), text(child.stderr)]);
    return { kind: "ended", code, output: `${out}${err}`.trim() };
  } catch (error) {
    return { kind: "missing", why: describeError(error) };
  }
}
