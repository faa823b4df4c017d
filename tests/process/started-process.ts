import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { RUN_MARKER } from "../../src/process/process-table.ts";
import { type ExecutorProcess, spawnExecutor, type SpawnRequest } from "../../src/process/spawn.ts";
import { tempFolder } from "../harness/temp-folder.ts";

export interface Place extends Disposable {
  readonly path: string;
  request(command: readonly string[], more?: Partial<SpawnRequest>): SpawnRequest;
}

/** A project folder and a run folder for one test. */
export function place(): Place {
  const folder = tempFolder();
  const runFolder = join(folder.path, "run");
  const projectDir = join(folder.path, "project");
  mkdirSync(runFolder);
  mkdirSync(projectDir);
  return {
    path: folder.path,
    request: (command, more = {}) => ({
      command,
      env: { PATH: process.env["PATH"] ?? "" },
      projectDir,
      stdin: "",
      runFolder,
      outputLimitBytes: 0,
      ...more,
    }),
    [Symbol.dispose]: () => folder[Symbol.dispose](),
  };
}

export interface Started extends AsyncDisposable {
  readonly process: ExecutorProcess;
  /** The output so far. */
  stdout(): string;
}

/** Starts `sh -c script`. The end of the block kills the whole process group. */
export function startScript(at: Place, script: string, options: { runId?: string; stdin?: string } = {}): Started {
  const env = {
    PATH: process.env["PATH"] ?? "",
    ...(options.runId === undefined ? {} : { [RUN_MARKER]: options.runId }),
  };
  return started(at.request(["sh", "-c", script], { env, stdin: options.stdin ?? "" }));
}

export function started(request: SpawnRequest, cgroup: string | null = null): Started {
  const spawned = spawnExecutor(request, cgroup);
  if (spawned.kind !== "started") throw new Error(spawned.reason);
  const child = spawned.process;
  return {
    process: child,
    stdout: () => child.stdout.tail(64 * 1024),
    async [Symbol.asyncDispose]() {
      child.signalGroup("SIGKILL");
      await child.exited;
      child.close();
    },
  };
}
