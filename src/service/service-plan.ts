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

/**
 * Says which value no service file can hold: a line feed would begin a line of its own, and so would the line after a
 * backslash at the end. Null: all can.
 */
export function serviceFault(request: ServiceRequest): string | null {
  const { command, projectDir, home, configHome, runAs, searchPath } = request;
  const values = [...command, projectDir, home, configHome, runAs ?? "", searchPath];
  const bad = values.find((value) => /\p{Cc}/u.test(value) || (process.platform !== "win32" && value.endsWith("\\")));
  if (bad === undefined) return null;
  const why = "it has a control character or a backslash at its end";
  return `${JSON.stringify(bad)} cannot stand in the file of a service: ${why}`;
}

/** After the drain, runs get 15 s to stop and their reports 10 s. */
const LEAVE_SECONDS = 30;

/** The time for a stop before the service manager kills the runner. */
export function stopSeconds({ drainMs }: ServiceRequest): number {
  return Math.ceil(drainMs / 1000) + LEAVE_SECONDS;
}

export function environmentFile({ searchPath }: Pick<ServiceRequest, "searchPath">): string {
  return [
    "# Settings and secrets of the agent-runner service, read at each start. Mode 0600.",
    "# Lines are NAME=value, without quotes or expansion.",
    "# AGENT_ORCHESTRATOR_API_URL=http://localhost:8765",
    "# AGENT_COORDINATOR_TOKEN=",
    "# ANTHROPIC_API_KEY=",
    "",
    "# The PATH of the shell that installed the service. Executors and agents find their programs with it.",
    `PATH=${searchPath}`,
    "",
  ].join("\n");
}
