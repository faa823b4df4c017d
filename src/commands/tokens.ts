import * as v from "valibot";
import { AccessCalls } from "../client/access-calls.ts";
import { loadConfig } from "../config/load-config.ts";
import { Age } from "../config/values.ts";
import { ExitCode, usageError } from "../errors.ts";
import { ROLES, TokenName, type TokenShown } from "../protocol/access/tokens.ts";
import { flagArg, oneOf, parsedArg, textArg } from "./command-line/arguments.ts";
import type { Command, CommandArgs, CommandContext } from "./command-line/command.ts";
import { commonOptions, coordinatorOptions, jsonOption, TIME_NOTE } from "./command-line/options.ts";
import { type Connection, connect } from "./wiring/connect.ts";
import { showList } from "./wiring/show-list.ts";

const ACTIONS = ["list", "create", "revoke"] as const;

export const tokensCommand: Command = {
  name: "tokens",
  description: "Creates, lists and revokes tokens that may do less than the coordinator's own.",
  args: {
    action: { type: "positional", required: false, description: "list (the default), create or revoke" },
    // Not `token`: that is a setting.
    name: { type: "positional", required: false, description: "Name of the token" },
    role: { type: "string", valueHint: "ROLE", description: `With create: ${ROLES.join(", ")}` },
    expires: { type: "string", valueHint: "TIME", description: "With create: when it ends, e.g. 30d (default: never)" },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "read: see everything but tokens and the audit list. submit: also start and stop runs.",
    "answer: read, and answer questions of agents. runner: only what a runner needs.",
    "admin: everything, as the coordinator's own token.",
    "create prints the secret on stdout, once. The coordinator stores only its SHA-256.",
    "Programs send it as a bearer token; commands and runners take it from AGENT_COORDINATOR_TOKEN.",
    TIME_NOTE,
  ],
  examples: [
    ["agent-runner tokens create ci --role submit --expires 90d", "A token for a pipeline that starts runs"],
    ["agent-runner tokens create worker-2 --role runner", "A token for the runner of another machine"],
    ["agent-runner tokens", "All tokens, without their secrets"],
    ["agent-runner tokens revoke ci", "End a token, with its open streams"],
  ],
  async run(args, context) {
    const action = oneOf("ACTION", textArg(args, "action") ?? "list", ACTIONS);
    const name = textArg(args, "name");
    if (action === "list" && name !== undefined) throw usageError(`Unexpected word: ${name}`);
    if (action !== "list" && name === undefined) throw usageError(`tokens ${action}: the name of the token is missing`);
    const connection = connect(loadConfig(args, context.env), context);
    const calls = new AccessCalls(connection.client);
    switch (action) {
      case "list":
        await showList({ ...TOKENS, read: async () => ({ rows: await calls.tokens() }) }, connection, args, context);
        break;
      case "create":
        await create(name ?? "", args, { connection, calls, context });
        break;
      case "revoke":
        await connection.ask(calls.revokeToken(name ?? ""));
        context.note(`Revoked token ${name}`);
    }
    return ExitCode.ok;
  },
};

const TOKENS = {
  headings: ["TOKEN", "ROLE", "CREATED", "CREATED BY", "EXPIRES"],
  row: (token: TokenShown): string[] => [
    token.name,
    token.role,
    token.created_at,
    token.created_by ?? "-",
    token.expires_at ?? "never",
  ],
};

interface Creating {
  readonly connection: Connection;
  readonly calls: AccessCalls;
  readonly context: CommandContext;
}

async function create(name: string, args: CommandArgs, { connection, calls, context }: Creating): Promise<void> {
  const checked = v.safeParse(TokenName, name);
  if (!checked.success) throw usageError(`tokens create: the name ${checked.issues[0].message}`);
  const word = textArg(args, "role");
  if (word === undefined) throw usageError(`tokens create: --role is missing: ${ROLES.join(", ")}`);
  const role = oneOf("--role", word, ROLES);
  const expiresMs = parsedArg(args, "expires", Age);
  if (expiresMs !== undefined && expiresMs < 1_000) throw usageError("--expires: must be at least 1s");
  const created = await connection.ask(
    calls.createToken({ name, role, ...(expiresMs === undefined ? {} : { expires_in_seconds: expiresMs / 1_000 }) }),
  );
  context.print(flagArg(args, "json") ? JSON.stringify(created, null, 2) : created.token);
  const end = created.expires_at === null ? "" : `, valid until ${created.expires_at}`;
  context.note(`Created token ${name} with the role ${role}${end}. It is shown this once.`);
}
