import { join } from "node:path";
import type { CoordinatorFailure } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { describeError } from "../../errors.ts";
import type { Grant } from "../../gateway/grant.ts";
import { absolutePath } from "../../paths.ts";
import { entriesAtStart } from "../../process/environment/exact-environment.ts";
import { privateFolder } from "../../process/private-folder.ts";
import { RUN_MARKER } from "../../process/process-table.ts";
import type { SpawnRequest } from "../../process/spawn.ts";
import type { Blueprint } from "../../protocol/agent.ts";
import type { Generation } from "../../protocol/poll.ts";
import type { Session } from "../../protocol/session.ts";
import type { ActiveRun } from "../runs/active-run.ts";
import { invocationOf, resolvePlaceholders } from "./blueprint.ts";
import { type BlueprintSources, readAgent, resolveBlueprint, withStartParameters } from "./second-blueprint.ts";
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
  grant.projectDir = assigned.projectDir ?? session.value?.project_dir ?? null;
  const projectDir = absolutePath(grant.projectDir ?? config.projectDir, config.projectDir);
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
      schema: schemaOf(config.invocationSchema, assigned.generation),
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

/** The executors of each generation of the Python system take one version each. */
function schemaOf(setting: Config["invocationSchema"], generation: Generation): "2.0" | "2.2" {
  if (setting !== "auto") return setting;
  return generation === "second" ? "2.2" : "2.0";
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
  const { assigned } = run;
  const { resolvedBlueprint: sent, generation, type } = assigned;
  // Without a blueprint the coordinator knows no such agent. Callback resumes never have their agent's blueprint.
  if (agentName === null || (sent === null && type === "start_session")) return { kind: "found", value: sent ?? null };
  const isSecond = generation === "second";
  const read = async (): Promise<BlueprintSources> => {
    if (sent != null) return withStartParameters(parts.coordinator, { blueprint: sent, servers: new Map() }, assigned);
    if (isSecond) return readAgent(parts.coordinator, agentName, assigned);
    return { blueprint: await parts.coordinator.agent(agentName), servers: new Map(), startParameters: null };
  };
  const options = { ...parts.delivery, context: run.context, signal: run.cancelled };
  const delivered = await deliver("Reading the blueprint", read, options);
  if (delivered.kind === "given-up") return { kind: "cancelled" };
  if (delivered.kind === "refused" && sent === null && delivered.failure.status === 404)
    return { kind: "found", value: null };
  if (delivered.kind === "refused") return { kind: "fault", error: blueprintFault(agentName, delivered.failure) };
  if (!isSecond) return { kind: "found", value: delivered.value.blueprint };
  const { blueprint, unknown } = resolveBlueprint(delivered.value, assigned);
  if (sent != null || unknown.length === 0) return { kind: "found", value: blueprint };
  const error = `Blueprint ${agentName} could not be resolved: the runner cannot know ${unknown.join(", ")}`;
  return { kind: "fault", error };
}

function blueprintFault(agentName: string, failure: CoordinatorFailure): string {
  return failure.status === 404
    ? `Blueprint not found: ${agentName}`
    : `Blueprint ${agentName} could not be resolved: ${failure.message}`;
}
