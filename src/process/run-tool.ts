import { describeError } from "../errors.ts";

/** How a system program ended. `missing`: the program could not be started. */
export type ToolEnd =
  | { readonly kind: "ended"; readonly code: number; readonly output: string }
  | { readonly kind: "missing"; readonly why: string };

interface ToolOptions {
  /** It inherits stdout and stderr, and `output` is empty. */
  readonly show: boolean;
  /** Kills it. */
  readonly signal?: AbortSignal;
}

/** Runs a program that is no executor, such as `systemctl`, to its end. */
export async function runTool(command: readonly string[], options: ToolOptions): Promise<ToolEnd> {
  const stream = options.show ? "inherit" : "pipe";
  try {
    const child = Bun.spawn([...command], {
      stdin: "ignore",
      stdout: stream,
      stderr: stream,
      ...(options.signal === undefined ? {} : { signal: options.signal, killSignal: "SIGKILL" }),
    });
    const text = (from: ReadableStream | undefined): Promise<string> =>
      from === undefined ? Promise.resolve("") : new Response(from).text();
    const [code, out, err] = await Promise.all([child.exited, text(child.stdout), text(child.stderr)]);
    return { kind: "ended", code, output: `${out}${err}`.trim() };
  } catch (error) {
    return { kind: "missing", why: describeError(error) };
  }
}

/** Opens a file of this machine in the user's browser, which outlives this process. Throws if no program can. */
export function openInBrowser(path: string, env: Readonly<Record<string, string>>): void {
  const child = Bun.spawn([...openerOf(process.platform), path], {
    env,
    stdin: "ignore",
    stdout: "ignore",
    stderr: "ignore",
    // Out of the reach of a Ctrl+C in the terminal.
    detached: true,
  });
  child.unref();
}

function openerOf(platform: NodeJS.Platform): string[] {
  if (platform === "darwin") return ["open"];
  return platform === "win32" ? ["explorer.exe"] : ["xdg-open"];
}
