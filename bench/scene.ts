import { chmodSync, constants, mkdirSync, mkdtempSync, openSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binaryFile } from "../build.ts";
import { randomHex12 } from "../src/protocol/identifiers.ts";
import { compiledLimit } from "./limits.ts";
import { processesWith } from "./process-usage.ts";
import { LineReader, type Program, startProgram } from "./program.ts";

const MARK = "AGENT_RUNNER_BENCH";
/** A runner ignores a second interrupt within 100 ms as an echo of the first. */
const SECOND_INTERRUPT_MS = 200;
const SHUTDOWN_MS = 60_000;

export interface RunnerOptions {
  readonly maxConcurrent?: number;
  readonly env?: Readonly<Record<string, string>>;
}

/** A temporary folder, and the programs that an item starts in it. Disposing shuts the programs down. */
export class Scene implements AsyncDisposable {
  /** The scenes that are not disposed yet. An interrupted bench disposes them. */
  static readonly open = new Set<Scene>();
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "agent-runner-bench-")));
  readonly env: Readonly<Record<string, string>>;
  readonly #mark = randomHex12();
  readonly #programs: Program[] = [];
  #count = 0;

  constructor() {
    this.env = { PATH: process.env["PATH"] ?? "", HOME: this.path("home"), [MARK]: this.#mark };
    mkdirSync(this.path("home"));
    mkdirSync(this.path("project"));
    Scene.open.add(this);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  start(
    command: readonly string[],
    options: { wantsLines?: boolean; env?: Readonly<Record<string, string>> } = {},
  ): Program {
    const program = startProgram(command, {
      cwd: this.path("project"),
      env: { ...this.env, ...options.env },
      logFile: this.path(`log.${this.#count++}`),
      wantsLines: options.wantsLines ?? false,
    });
    this.#programs.push(program);
    return program;
  }

  /** Starts the embedded coordinator. Its log lines mark the arrival of requests. */
  async coordinator(
    stateDir = this.path("coordinator"),
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ url: string; program: Program }> {
    const program = this.start([binaryFile, "coordinator", "--no-token", "--port", "0", "--state-dir", stateDir], {
      wantsLines: true,
      env,
    });
    const { value: url } = await program.lines.next((line) => /agent-runner -c (\S+)/.exec(line)?.[1] ?? null);
    return { url, program };
  }

  /** Starts a runner, and resolves when it waits for runs. */
  async runner(url: string, executor: string, { maxConcurrent = 32, env = {} }: RunnerOptions = {}): Promise<Program> {
    const program = this.startRunner(url, executor, { maxConcurrent, env }, true);
    await program.lines.next((line) => (line.includes("Runner started") ? true : null));
    return program;
  }

  startRunner(
    url: string,
    executor: string,
    { maxConcurrent = 32, env = {} }: RunnerOptions,
    wantsLines = false,
  ): Program {
    const args = [
      "-c",
      url,
      "-e",
      executor,
      "--state-dir",
      this.path("runner"),
      "--max-concurrent",
      String(maxConcurrent),
    ];
    return this.start([binaryFile, ...args], { env, wantsLines });
  }

  /** Starts the limit server, which does only the indispensable work for a request. */
  async limitServer(): Promise<{ url: string; program: Program }> {
    const program = this.start([await compiledLimit(), "serve", this.path("limit.sqlite")], { wantsLines: true });
    const { value: url } = await program.lines.next((line) => /^listening (\S+)/.exec(line)?.[1] ?? null);
    return { url, program };
  }

  /** Creates an executor from the lines of a shell script. Returns its path. */
  executor(name: string, ...lines: readonly string[]): string {
    const folder = this.path(name);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `ao-${name}-exec`);
    writeFileSync(file, `#!/bin/sh\n${lines.join("\n")}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  /** Creates a FIFO, through which a shell script signals at once (`echo x >path`). */
  fifo(): { path: string; lines: LineReader } {
    const path = this.path(`fifo.${this.#count++}`);
    const created = Bun.spawnSync(["mkfifo", path]);
    if (!created.success) throw new Error(`mkfifo ${path}: ${created.stderr.toString()}`);
    const lines = new LineReader(path);
    // Opened for writing too: otherwise the stream would end with the first writer.
    lines.follow(Bun.file(openSync(path, constants.O_RDWR | constants.O_NONBLOCK)).stream());
    return { path, lines };
  }

  /** Interrupts a program; the second interrupt makes a runner stop its runs. Kills the program after a minute. */
  async shutDown(program: Program): Promise<void> {
    const exits = (ms: number): Promise<boolean> =>
      Promise.race([program.exited.then(() => true), Bun.sleep(ms).then(() => false)]);
    program.signal("SIGINT");
    if (await exits(SECOND_INTERRUPT_MS)) return;
    program.signal("SIGINT");
    if (!(await exits(SHUTDOWN_MS))) program.signal("SIGKILL");
    await program.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!Scene.open.delete(this)) return;
    for (const program of this.#programs.toReversed()) await this.shutDown(program);
    if (process.platform === "linux") for (const pid of processesWith(`${MARK}=${this.#mark}`)) kill(pid);
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The process has ended.
  }
}
