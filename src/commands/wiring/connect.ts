import { type Authorization, noAuthorization, OidcAuthorization, staticToken } from "../../client/credentials.ts";
import { CoordinatorClient } from "../../client/coordinator-client.ts";
import { CoordinatorFailure } from "../../client/failure.ts";
import type { Config } from "../../config/load-config.ts";
import { ExitCode, UserError } from "../../errors.ts";

export function authorizationOf(config: Config): Authorization {
  if (config.credentials !== null) return new OidcAuthorization(config.credentials);
  return config.coordinatorToken === undefined ? noAuthorization : staticToken(config.coordinatorToken);
}

export function connect(config: Config): CoordinatorClient {
  return new CoordinatorClient(config.coordinatorUrl, authorizationOf(config));
}

/** Turns a failed call of a client command into what its user can do about it. */
export async function asking<T>(client: CoordinatorClient, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    if (!(error instanceof CoordinatorFailure)) throw error;
    throw explain(client, error);
  }
}

function explain({ baseUrl }: CoordinatorClient, failure: CoordinatorFailure): UserError {
  switch (failure.kind) {
    case "unreachable":
      return new UserError(`No Agent Coordinator at ${baseUrl}: ${failure.message}`, {
        hint: "Start one with: agent-runner up -x test-executor (or name another with --coordinator-url)",
        exitCode: ExitCode.unreachable,
      });
    case "unregistered":
      return new UserError(`The Agent Coordinator at ${baseUrl} refuses the credentials: ${failure.message}`, {
        hint: "Set AGENT_COORDINATOR_TOKEN to the coordinator's token.",
      });
    case "unavailable":
      return new UserError(`The Agent Coordinator at ${baseUrl} is in trouble: ${failure.message}`, {
        exitCode: ExitCode.unreachable,
      });
    case "refused":
      return new UserError(failure.message);
  }
}
