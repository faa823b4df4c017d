import { AccessCalls } from "../client/access-calls.ts";
import { loadConfig } from "../config/load-config.ts";
import { wholeNumber } from "../config/values.ts";
import { ExitCode } from "../errors.ts";
import type { AuditEntry } from "../protocol/access/tokens.ts";
import { parsedArg } from "./command-line/arguments.ts";
import type { Command } from "./command-line/command.ts";
import { commonOptions, coordinatorOptions, jsonOption } from "./command-line/options.ts";
import { connect } from "./wiring/connect.ts";
import { showList } from "./wiring/show-list.ts";

const DEFAULT_LIMIT = 50;

export const auditCommand: Command = {
  name: "audit",
  description: "Lists who changed what at the coordinator, the newest last.",
  args: {
    limit: {
      type: "string",
      valueHint: "N",
      description: `Show the newest N only (default ${DEFAULT_LIMIT}; 0: all)`,
    },
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "Only changes are in the list. Not in it: polls, and the reports and events of runs.",
    "The coordinator keeps the newest 100,000 changes. No command and no route can alter or remove them.",
    "Behind a proxy, ADDRESS is that of the proxy.",
  ],
  examples: [
    ["agent-runner audit", "The last changes"],
    ["agent-runner audit --limit 0 --json", "All of them, for scripts"],
  ],
  async run(args, context) {
    const limit = parsedArg(args, "limit", wholeNumber(0)) ?? DEFAULT_LIMIT;
    const connection = connect(loadConfig(args, context.env), context);
    const calls = new AccessCalls(connection.client);
    const read = () => calls.audit(limit === 0 ? Number.MAX_SAFE_INTEGER : limit);
    const isCut = await showList({ ...CHANGES, read }, connection, args, context);
    if (isCut) context.note(`Only the newest ${limit} are shown; --limit N shows more, --limit 0 all`);
    return ExitCode.ok;
  },
};

const CHANGES = {
  headings: ["TIME", "TOKEN", "ROLE", "ADDRESS", "SUBJECT", "ACTION"],
  row: (entry: AuditEntry): string[] => [
    entry.at,
    entry.token ?? "-",
    entry.role,
    entry.address,
    entry.subject ?? "-",
    entry.action,
  ],
};
