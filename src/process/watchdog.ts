import { closeSync, openSync, writeSync } from "node:fs";
import { describeError } from "../errors.ts";
import type { Log } from "../log.ts";
import { type ProcessEntry, RUN_MARKER, signalGroup, signalProcess } from "./process-table.ts";

/*
 * Executors outlive a runner that is killed. If no runner comes back, the runner's watchdog ends them. It is a shell,
 * which needs a fraction of the memory of this program. Its arguments: the runner's pid, for process lists;
 * the time in seconds; the runs; a command. The shell:
 * - Reads from a socket which runs it guards. The kernel closes the socket with the runner, however the runner ends,
 *   and not before: a suspended runner lives. No pid is compared, so none can be mistaken.
 * - Exits after the runner's end if it guards no run. Otherwise sleeps. The clock may be set meanwhile: `sleep`
 *   measures a duration. A sleep that is killed starts again, so that ends no executor early.
 * - Becomes the command. On Linux, descriptor 4 holds the program, which may be replaced or removed by then.
 */
const SCRIPT = `seconds=$2; runs=$3; shift 3
while read -r verb id <&3; do
  case $verb$runs in
    +*) runs="$runs$id " ;;
    -*" $id "*) runs="\${runs%%" $id "*} \${runs#*" $id "}" ;;
  esac
done
[ "$runs" != ' ' ] || exit 0
until sleep "$seconds"; do [ $? -gt 128 ] || exit 1; done
set -f
exec "$@" $runs`;

export interface WatchdogOptions {
  /** How long executors may live without a runner; 0 means without limit. */
  readonly afterMs: number;
  /** This program, and the words with which it ends executors. The ids of the runs follow them. */
  readonly command: readonly string[];
  /** Marks the process in the process table, in place of a run's id. The runner's next process has the same. */
  readonly marker: string;
  readonly env: Readonly<Record<string, string>>;
  readonly log: Log;
}

/** The runner's side of its watchdog process. The process starts with the first run. It exits by itself. */
export class Watchdog {
  readonly #options: WatchdogOptions;
  readonly #runs = new Set<string>();
  #process: { readonly child: Bun.Subprocess; readonly socket: number } | null = null;
  #isWarned = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  /** Call before the run's executor starts. Never throws: no run fails for want of a watchdog. */
  guard(runId: string): void {
    if (this.#runs.has(runId)) return;
    this.#runs.add(runId);
    if (!this.#send(`+ ${runId}\n`)) this.#start();
  }

  /** Call when no process of the run is left. */
  release(runId: string): void {
    if (this.#runs.delete(runId)) this.#send(`- ${runId}\n`);
  }

  /** Ends the watchdogs of earlier processes of this runner. Call once their runs are guarded. */
  endEarlier(table: readonly ProcessEntry[]): void {
    const { marker } = this.#options;
    const isOwn = ({ pid, group }: ProcessEntry): boolean => [pid, group].includes(this.#process?.child.pid ?? 0);
    for (const entry of table) {
      if (entry.runId !== marker || isOwn(entry)) continue;
      // Its sleep may have started after the scan. The group has both.
      if (entry.pid === entry.group) signalGroup(entry, "SIGKILL");
      else signalProcess(entry, "SIGKILL");
    }
  }

  /** Ends the watchdog process although runs are guarded, for a program that has killed their executors. */
  end(): void {
    this.#runs.clear();
    this.#stop();
  }

  #start(): void {
    const { afterMs, command, marker, env, log } = this.#options;
    if (afterMs === 0 || process.platform === "win32") return;
    const isLinux = process.platform === "linux";
    const [file = "", ...words] = command;
    let program: number | undefined;
    try {
      program = openSync(isLinux ? "/proc/self/exe" : file, "r");
      const shell = ["/bin/sh", "-c", SCRIPT, "agent-runner-watchdog", String(process.pid)];
      const runs = ["", ...this.#runs, ""].join(" ");
      const seconds = String(Math.ceil(afterMs / 1000));
      const child = Bun.spawn([...shell, seconds, runs, isLinux ? "/proc/self/fd/4" : file, ...words], {
        cwd: "/",
        env: { ...env, [RUN_MARKER]: marker },
        stdio: ["ignore", "ignore", "ignore", "pipe", program],
        detached: true,
        onExit: (exited) => this.#onExit(exited),
      });
      // Keeps no runner from exiting.
      child.unref();
      this.#process = { child, socket: Number(child.stdio[3]) };
      this.#isWarned = false;
    } catch (error) {
      if (!this.#isWarned)
        log.warn(
          `The watchdog cannot start; executors would outlive this runner without limit: ${describeError(error)}`,
        );
      this.#isWarned = true;
    } finally {
      if (program !== undefined) closeSync(program);
    }
  }

  /** Returns false without a process. Ends a process that cannot receive, because its list of runs is wrong. */
  #send(lines: string): boolean {
    if (this.#process === null) return false;
    try {
      writeSync(this.#process.socket, lines);
      return true;
    } catch {
      this.#stop();
      return false;
    }
  }

  #stop(): void {
    if (this.#process === null) return;
    const { child, socket } = this.#process;
    this.#process = null;
    // Its only child, the sleep, starts after the runner's end.
    child.kill("SIGKILL");
    closeSync(socket);
  }

  #onExit(exited: Bun.Subprocess): void {
    if (this.#process?.child === exited) this.#stop();
  }
}
