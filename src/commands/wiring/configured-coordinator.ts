import { statSync } from "node:fs";
import type { Config } from "../../config/load-config.ts";
import { type Coordinator, startCoordinator } from "../../coordinator/coordinator.ts";
import type { TlsFiles } from "../../coordinator/tls-files.ts";
import { ExitCode, UserError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import { requireTrusted, type TrustOptions } from "../../trust/trust-fault.ts";
import { selfCommand } from "./resolve-executor.ts";
import { noteCoordinator } from "./running-coordinators.ts";
import { databaseFile, makeStateFolder } from "./state-folder.ts";
import { makeTokenFile, tokenFileOf } from "./token-file.ts";

/** Longer than any process lives. */
const NEVER_MS = 100 * 365 * 86_400_000;

/** The settings of a coordinator, with its token. */
export interface CoordinatorConfig extends Config {
  /** The file of a token that this program made; null for a configured token, and without one. */
  readonly tokenFile: string | null;
}

/** Makes the state folder, and in it a token unless the settings have one or refuse one. */
export function withToken(config: Config, log: Log): CoordinatorConfig {
  makeStateFolder(config);
  if (config.noToken)
    log.warn("--no-token: every user and program of this machine can run commands as the user of the runners");
  if (config.noToken || config.coordinatorToken !== undefined) return { ...config, tokenFile: null };
  return { ...config, coordinatorToken: makeTokenFile(config.stateDir), tokenFile: tokenFileOf(config.stateDir) };
}

/** Starts the coordinator as configured, with its database in the state folder. */
export async function startConfiguredCoordinator(config: CoordinatorConfig, log: Log): Promise<Coordinator> {
  const { stateDir, tokenFile } = config;
  // Another user could listen on the other address of `localhost`, and would get the tokens of clients.
  const host = config.host === "localhost" ? "127.0.0.1" : config.host;
  return startCoordinator({
    host,
    port: config.port,
    callbacks: config.callbacks,
    databasePath: databaseFile(stateDir),
    ...(config.database === undefined ? {} : { databaseUrl: config.database }),
    ...(config.coordinatorToken === undefined ? {} : { token: config.coordinatorToken }),
    ...tlsOf(config),
    onListening: (url, port, certificate) =>
      tokenFile === null && certificate === null
        ? { [Symbol.dispose]() {} }
        : noteCoordinator(config, { host, port, url, certificate }, tokenFile, log),
    ...(config.allowedOrigins === undefined ? {} : { allowedOrigins: config.allowedOrigins }),
    ...(config.allowedHosts === undefined ? {} : { allowedHosts: config.allowedHosts }),
    keepMs: config.coordinatorKeepMs,
    eventsLimitBytes: config.eventsLimitBytes,
    durability: config.durability,
    selfCommand: selfCommand(),
    timings: { lostAfterMs: config.lostAfterMs === 0 ? NEVER_MS : config.lostAfterMs },
    ...(config.agentsDir === undefined ? {} : { agentsDir: requireFolder(config.agentsDir, config) }),
    trustedFolders: config.trustedFolders,
    log: log.scope("coordinator"),
  });
}

function tlsOf({ tlsCert, tlsKey }: Config): { tls?: TlsFiles } {
  if (tlsCert === undefined && tlsKey === undefined) return {};
  if (tlsCert !== undefined && tlsKey !== undefined) return { tls: { certFile: tlsCert, keyFile: tlsKey } };
  throw new UserError("TLS needs both files: --tls-cert and --tls-key", {
    hint: "In the settings file: coordinator.tls_cert and coordinator.tls_key",
    exitCode: ExitCode.usage,
  });
}

function requireFolder(path: string, options: TrustOptions): string {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() === true) {
    requireTrusted("The folder of agents", path, options);
    return path;
  }
  throw new UserError(`The folder of agents ${path} does not exist`, {
    hint: "Make it, or name another with --agents-dir",
    exitCode: ExitCode.usage,
  });
}
