import { join } from "node:path";
import { CoordinatorFailure } from "../../client/failure.ts";
import { describeError } from "../../errors.ts";
import type { Grant } from "../../gateway/grant.ts";
import { absolutePath } from "../../paths.ts";
import { entriesAtStart } from "../../process/environment/exact-environment.ts";
import { privateFolder } from "../../process/private-folder.ts";
import { RUN_MARKER } from "../../process/process-table.ts";
import type { SpawnRequest } from "../../process/spawn.ts";
import type { Blueprint } from "../../protocol/agent.ts";
import type { Session } from "../../protocol/session.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { invocationOf, resolvePlaceholders } from "./blueprint.ts";
import { deliver } from "../link/deliver.ts";
import { CannotRun } from "../runs/intake.ts";
import { traceVariables } from "../runs/observer.ts";
import type { RunnerParts } from "./runner-parts.ts";

/** `cancelled`: the run was cancelled before it was prepared. */
export type Prepared =
  | { readonly kind: "ready"; readonly request: SpawnRequest; readonly agentName: string | null }
  | { readonly kind: "fault"; readonly error: string }
  | { readonly kind: "cancelled" };

/** Prepares what the executor needs: blueprint, invocation, folder, environment. Starts nothing. */
export async function prepareRun(run: ActiveRun, grant: Grant, parts: RunnerParts): Promise<Prepared> {
  const { assigned } = run;
  const session = await sessionOfResume(run, parts);
  if (session.kind !== "found") return session;
  const agentName = assigned.agentName ?? session.value?.agent_name ?? null;
  const blueprint = await blueprintOf(run, agentName, parts);
  if (blueprint.kind !== "found") return blueprint;

  const { config, executor, gateway } = parts;
  const projectDir = absolutePath(
    assigned.projectDir ?? session.value?.project_dir ?? config.projectDir,
    config.projectDir,
  );
  const values = { sessionId: run.sessionId, mcpUrl: config.externalMcpUrl ?? gateway.mcpUrlOf(grant) };
  const runFolder = join(parts.runsFolder, run.runId);
  try {
    const { intake, registration } = parts;
    const makeFolder = (): string => privateFolder(runFolder);
    const made = await intake.whenThereIsRoom(makeFolder, run.cancelled, registration.takesReturns);
    if (made === "cancelled") return { kind: "cancelled" };
  } catch (error) {
    if (error instanceof CannotRun) throw error;
    return { kind: "fault", error: `The run's folder ${runFolder} cannot be made: ${describeError(error)}` };
  }
  const request: SpawnRequest = {
    command: executor.command,
    env: {
      ...parts.inheritedEnv,
      ...executor.env,
      // An inherited PWD would name the runner's folder, and some programs trust it.
      PWD: projectDir,
      AGENT_SESSION_ID: run.sessionId,
      [RUN_MARKER]: run.runId,
      AGENT_ORCHESTRATOR_API_URL: gateway.urlOf(grant),
      ...traceVariables(grant.trace),
    },
    inherited: entriesAtStart(),
    projectDir,
    stdin: invocationOf(assigned, {
      schema: config.invocationSchema,
      projectDir,
      agentName,
      executorConfig: config.executors[executor.name] ?? {},
      blueprint: blueprint.value === null ? null : resolvePlaceholders(blueprint.value, values),
    }),
    runFolder,
    outputLimitBytes: config.outputLimitBytes,
  };
  return { kind: "ready", request, agentName };
}

type Found<T> = { readonly kind: "found"; readonly value: T } | Exclude<Prepared, { kind: "ready" }>;

/**
 * The session of a resume without an agent or a project directory, which then come from the session. The callback
 * resumes of the Python coordinators have neither.
 */
async function sessionOfResume(run: ActiveRun, parts: RunnerParts): Promise<Found<Session | null>> {
  const { type, agentName, projectDir, generation } = run.assigned;
  const isComplete = projectDir !== null && (agentName !== null || generation === "second");
  if (type !== "resume_session" || isComplete) return { kind: "found", value: null };
  const options = { ...parts.delivery, context: run.context, signal: run.cancelled };
  const delivered = await deliver("Reading the session", () => parts.coordinator.session(run.sessionId), options);
  if (delivered.kind === "given-up") return { kind: "cancelled" };
  // The coordinator may not know the session. The executor decides whether the session can be resumed.
  return { kind: "found", value: delivered.kind === "answered" ? delivered.value : null };
}

async function blueprintOf(
  run: ActiveRun,
  agentName: string | null,
  parts: RunnerParts,
): Promise<Found<Blueprint | null>> {
  // The second generation sends the resolved blueprint with the run.
  if (run.assigned.resolvedBlueprint !== undefined) return { kind: "found", value: run.assigned.resolvedBlueprint };
  if (agentName === null) return { kind: "found", value: null };
  const options = { ...parts.delivery, context: run.context, signal: run.cancelled };
  const delivered = await deliver("Reading the blueprint", () => parts.coordinator.agent(agentName), options);
  switch (delivered.kind) {
    case "answered":
      return { kind: "found", value: delivered.value };
    case "given-up":
      return { kind: "cancelled" };
    case "refused":
      return { kind: "fault", error: blueprintFault(agentName, delivered.failure) };
  }
}

function blueprintFault(agentName: string, failure: CoordinatorFailure): string {
  return failure.status === 404
    ? `Blueprint not found: ${agentName}`
    : `Blueprint ${agentName} could not be resolved: ${failure.message}`;
}
