import { checkBuiltIn } from "./built-in.ts";
import { type CatalogOptions, type Executor, isWindows, type Readiness } from "./executor.ts";
import { hasInterpreter, inspectFile } from "../process/inspect-file.ts";
import { runsOnOwnBun } from "./own-bun.ts";

/** Whether the executor could be started now. Reads the file on each call. */
export function checkReadiness(executor: Pick<Executor, "name" | "path">, options: CatalogOptions): Readiness {
  const { name, path } = executor;
  return path === null ? checkBuiltIn(name, options) : checkFile(path, options);
}

function checkFile(path: string, options: CatalogOptions): Readiness {
  const file = inspectFile(path);
  switch (file.kind) {
    case "missing":
      return notReady(`${path} does not exist`, "check the path");
    case "not-a-file":
      return notReady(`${path} is not a file`, "give the path of the executor's file, not of its folder");
    case "unreadable":
      return notReady(`${path} cannot be read`, `chmod u+r ${path}`);
  }
  if (runsOnOwnBun(path, options)) return { ok: true };
  if (isWindows(options)) {
    if (file.kind === "program") return { ok: true };
    return notReady(`${path} is a script, which Windows cannot start`, "use a .ts, .js, .mjs or .exe file");
  }
  if (!file.runnable) return notReady(`${path} has no run bit`, `chmod +x ${path}`);
  if (file.kind === "text") return notReady(`${path} has no #! line`, "start it with a line such as #!/bin/sh");
  if (file.kind === "script" && !hasInterpreter(file.interpreter, options.env["PATH"] ?? ""))
    return noInterpreter(path, file.interpreter);
  return { ok: true };
}

function noInterpreter(path: string, interpreter: string): Readiness {
  if (interpreter.endsWith("\r")) {
    return notReady(`the #! line of ${path} ends in a carriage return`, "save the file with LF line ends");
  }
  const where = interpreter.includes("/") ? "does not exist" : "is not in PATH";
  return notReady(
    `${path} needs ${interpreter}, which ${where}`,
    `install ${interpreter}, or change the file's first line`,
  );
}

function notReady(reason: string, hint: string): Readiness {
  return { ok: false, reason, hint };
}
