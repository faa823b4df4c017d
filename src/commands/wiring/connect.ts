import { type Authorization, OidcAuthorization } from "../../client/credentials.ts";
import { CoordinatorClient } from "../../client/coordinator-client.ts";
import { certificateHint, CoordinatorFailure, forbiddenHint } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { ExitCode, UserError } from "../../errors.ts";
import { shownUrl } from "../../protocol/shown-url.ts";
import type { CommandContext } from "../command-line/command.ts";
import { FoundCoordinator } from "./found-coordinator.ts";
import { executorOption } from "./resolve-executor.ts";

export function authorizationOf(config: Config): Authorization {
  if (config.credentials !== null) return new OidcAuthorization(config.credentials);
  return new FoundCoordinator(config);
}

/** The coordinator as a command sees it. */
export interface Connection {
  readonly client: CoordinatorClient;
  /** Turns a failed call into a UserError with a hint. */
  readonly ask: <T>(call: Promise<T>) => Promise<T>;
}

export function clientOf(config: Config): CoordinatorClient {
  return new CoordinatorClient(config.coordinatorUrl, authorizationOf(config));
}

export function connect(config: Config, context: Pick<CommandContext, "env" | "program">): Connection {
  return {
    client: clientOf(config),
    async ask(call) {
      try {
        return await call;
      } catch (error) {
        throw error instanceof CoordinatorFailure ? explain(error, config, context) : error;
      }
    },
  };
}

const TOKEN_HINT =
  "Set AGENT_COORDINATOR_TOKEN to the coordinator's token; " +
  "the user who started the coordinator gets it with: agent-runner token";

function explain(
  failure: CoordinatorFailure,
  config: Config,
  { env, program }: Pick<CommandContext, "env" | "program">,
): UserError {
  const url = shownUrl(config.coordinatorUrl);
  if (isStranger(failure))
    return new UserError(`The service at ${url} is not an Agent Coordinator: ${failure.message}`, {
      hint: `Name another with --coordinator-url, or start one with: ${program()} up${executorOption(config, env)}`,
    });
  switch (failure.kind) {
    case "unreachable":
      return new UserError(`No Agent Coordinator at ${url}: ${failure.message}`, {
        hint: `Start one with: ${program()} up${executorOption(config, env)} (or name another with --coordinator-url)`,
        exitCode: ExitCode.unreachable,
      });
    case "untrusted":
      return new UserError(`The Agent Coordinator at ${url} cannot be trusted: ${failure.message}`, {
        hint: certificateHint(failure),
        exitCode: ExitCode.unreachable,
      });
    case "moved":
      return new UserError(`The Agent Coordinator is not at ${url}: ${failure.message}`, {
        exitCode: ExitCode.unreachable,
      });
    case "unregistered":
      if (failure.status === 403)
        return new UserError(
          `The Agent Coordinator at ${url} forbids this: ${failure.message}`,
          forbiddenHint(failure, config.coordinatorUrl),
        );
      return new UserError(
        `The Agent Coordinator at ${url} refuses the credentials: ${failure.message}`,
        // A run's gateway needs no token of the coordinator.
        url === config.coordinatorUrl ? { hint: TOKEN_HINT } : {},
      );
    case "unavailable":
      return new UserError(`The Agent Coordinator at ${url} is in trouble: ${failure.message}`, {
        exitCode: ExitCode.unreachable,
      });
    case "refused":
      return new UserError(failure.message);
  }
}

/** Every answer of a coordinator is JSON. Another program, or a proxy's log-in page, has that address. */
function isStranger({ status, body }: CoordinatorFailure): boolean {
  return body === undefined && status !== null && (status < 300 || status === 404 || status === 405);
}
