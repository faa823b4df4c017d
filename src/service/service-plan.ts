/** The service to plan: its command and its user. */
export interface ServiceRequest {
  /** Names the service and its files. */
  readonly name: string;
  /** `system`: a service of the machine, started at boot; `user`: of the user who installs it. */
  readonly scope: "user" | "system";
  /** Program (as an absolute path) and arguments. */
  readonly command: readonly string[];
  readonly projectDir: string;
  /** The home of the user that the service runs as. */
  readonly home: string;
  /** The configuration folder of the installing user (`~/.config`). */
  readonly configHome: string;
  /** The user of a system service. */
  readonly runAs: string | null;
  /** The drain time-out of a stop. */
  readonly drainMs: number;
  /** PATH of the installing user: executors are found and run with it. */
  readonly searchPath: string;
  readonly uid: number;
}

export interface ServiceFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  /** The user edits this file: an existing one is neither replaced nor removed. */
  readonly isUsers: boolean;
}

/** The files and commands for the service manager of one platform. */
export interface ServicePlan {
  readonly files: readonly ServiceFile[];
  readonly install: readonly Step[];
  readonly uninstall: readonly Step[];
  /** Commands after the removal of the files. */
  readonly forget: readonly Step[];
  readonly status: readonly string[];
  readonly logs: (options: { readonly follow: boolean }) => readonly string[];
  /** Notes for the user after an installation. */
  readonly notes: readonly string[];
}

export interface Step {
  readonly command: readonly string[];
  /** A failure is no error; this says what it means. */
  readonly mayFail?: string;
}

/** Control characters, what XML cannot hold, and the sign that stands for bytes that are not UTF-8. */
const UNFIT = /[\p{Cc}\uFFFD-\uFFFF]|\p{Cs}/u;

/**
 * Says which value no service file can hold: a line feed would begin a line of its own, and so would the line after a
 * backslash at the end. Service managers cut off spaces at both ends of a path. Null: all can.
 */
export function serviceFault(request: ServiceRequest): string | null {
  const { command, projectDir, home, configHome, runAs, searchPath } = request;
  const values = [...command, projectDir, home, configHome, runAs ?? "", searchPath];
  const paths = [projectDir, home, configHome];
  const bad =
    values.find((value) => UNFIT.test(value) || (process.platform !== "win32" && value.endsWith("\\"))) ??
    paths.find((path) => path.trim() !== path);
  if (bad !== undefined) {
    const why = "it has a control character, bytes that are no UTF-8, or a backslash or space at its end";
    return `${JSON.stringify(bad)} cannot stand in the file of a service: ${why}`;
  }
  const [program = ""] = command;
  const noProgram = "systemd starts no program with a quote or backslash in its path";
  if (process.platform === "linux" && /["'\\]/.test(program))
    return `${JSON.stringify(program)} cannot stand in the file of a service: ${noProgram}`;
  // A user name is not escaped in the file. Windows has names with a domain.
  if (runAs === null || process.platform === "win32" || /^[A-Za-z0-9_][\w.@-]*\$?$/.test(runAs)) return null;
  return `${JSON.stringify(runAs)} cannot stand in the file of a service: it is no name of a user`;
}

/** After the drain, runs get 15 s to stop and their reports 10 s. */
const LEAVE_SECONDS = 30;

/** The time for a stop before the service manager kills the runner. */
export function stopSeconds({ drainMs }: ServiceRequest): number {
  return Math.ceil(drainMs / 1000) + LEAVE_SECONDS;
}

/** `escapeValue` writes a value so that the reader of the file gets it unchanged. */
export function environmentFile(
  { searchPath }: Pick<ServiceRequest, "searchPath">,
  escapeValue: (value: string) => string = (value) => value,
): string {
  return [
    "# Settings and secrets of the agent-runner service, read at each start. Mode 0600.",
    "# Lines are NAME=value, without quotes or expansion.",
    "# AGENT_ORCHESTRATOR_API_URL=http://localhost:8765",
    "# AGENT_COORDINATOR_TOKEN=",
    "# ANTHROPIC_API_KEY=",
    "",
    "# The PATH of the shell that installed the service. Executors and agents find their programs with it.",
    `PATH=${escapeValue(searchPath)}`,
    "",
  ].join("\n");
}
