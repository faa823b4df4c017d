/** What a service is to run, and for whom. */
export interface ServiceRequest {
  /** Names the service and its files. */
  readonly name: string;
  /** `system`: started at boot, for all; `user`: of the user who installs it. */
  readonly scope: "user" | "system";
  /** Program and arguments; the program absolute. */
  readonly command: readonly string[];
  readonly projectDir: string;
  /** The home of the user that the service runs as. */
  readonly home: string;
  /** The folder in which programs of the installing user have their settings (`~/.config`). */
  readonly configHome: string;
  /** The user of a system service. */
  readonly runAs: string | null;
  /** How long a stop waits for the runs. */
  readonly drainMs: number;
  /** PATH of whoever installs it: executors are found and run with it. */
  readonly searchPath: string;
  readonly uid: number;
}

export interface ServiceFile {
  readonly path: string;
  readonly content: string;
  readonly mode: number;
  /** One that is there already is the user's: it stays as it is. */
  readonly isUsers: boolean;
}

/** Everything that the service manager of one platform is told and given. */
export interface ServicePlan {
  readonly files: readonly ServiceFile[];
  readonly install: readonly Step[];
  readonly uninstall: readonly Step[];
  /** After the files are gone. */
  readonly forget: readonly Step[];
  readonly status: readonly string[];
  readonly logs: (options: { readonly follow: boolean }) => readonly string[];
  /** What the user is told after an installation. */
  readonly notes: readonly string[];
}

export interface Step {
  readonly command: readonly string[];
  /** Told, and no fault, where it fails. */
  readonly mayFail?: string;
}

/** After the drain the runs are stopped (5 s and 10 s), and their reports have 10 s. */
const LEAVE_SECONDS = 30;

/** How long a stop may take before the service manager kills the runner. */
export function stopSeconds({ drainMs }: ServiceRequest): number {
  return Math.ceil(drainMs / 1000) + LEAVE_SECONDS;
}

export function environmentFile({ searchPath }: Pick<ServiceRequest, "searchPath">): string {
  return [
    "# Settings and secrets of the agent-runner service: NAME=value lines, without quotes or expansion. Mode 0600, read at each start.",
    "# AGENT_ORCHESTRATOR_API_URL=http://localhost:8765",
    "# AGENT_COORDINATOR_TOKEN=",
    "# ANTHROPIC_API_KEY=",
    "",
    "# The PATH of the shell that installed the service: executors and the tools of agents are found with it.",
    `PATH=${searchPath}`,
    "",
  ].join("\n");
}
