import { basename } from "node:path";
import { loadConfig } from "../config/load-config.ts";
import { readAgentFile } from "../coordinator/agents/agent-file.ts";
import { ExitCode, usageError, UserError } from "../errors.ts";
import { absolutePath } from "../paths.ts";
import { type AgentInfo, type CreateAgent, CreateAgent as CreateAgentSchema } from "../protocol/agent.ts";
import * as v from "valibot";
import { flagArg, oneOf, textArg } from "./command-line/arguments.ts";
import type { Command, CommandArgs } from "./command-line/command.ts";
import { type Connection, connect } from "./wiring/connect.ts";
import { commonOptions, coordinatorOptions, jsonOption, watchOption } from "./command-line/options.ts";
import { showList } from "./wiring/show-list.ts";

const ACTIONS = ["list", "show", "add", "rm"] as const;

export const agentsCommand: Command = {
  name: "agents",
  description: "Lists, shows, adds and removes the agents of the coordinator.",
  args: {
    action: { type: "positional", required: false, description: "list (the default), show, add or rm" },
    agent: { type: "positional", required: false, description: "Name of the agent; for add, a folder with agent.json" },
    replace: { type: "boolean", description: "With add: replace an agent of the same name" },
    ...watchOption,
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  notes: [
    "add reads agent.json, agent.system-prompt.md and agent.mcp.json in the folder. The agent gets the folder's name.",
  ],
  examples: [
    ["agent-runner agents", "List all agents"],
    ["agent-runner agents show researcher", "Show an agent as JSON"],
    ["agent-runner agents add ./agents/researcher", "Add the agent researcher"],
    ["agent-runner agents add --replace ./agents/researcher", "Replace it after a change of its files"],
    ["agent-runner agents rm researcher", "Remove it"],
  ],
  async run(args, context) {
    const action = oneOf("ACTION", textArg(args, "action") ?? "list", ACTIONS);
    const agent = textArg(args, "agent");
    if (action !== "list" && agent === undefined)
      throw usageError(`agents ${action}: ${action === "add" ? "the folder" : "the name of the agent"} is missing`);
    if (action === "list" && agent !== undefined) throw usageError(`Unexpected word: ${agent}`);
    const connection = connect(loadConfig(args, context.env), context);
    const { client, ask } = connection;
    switch (action) {
      case "list":
        await showList({ ...AGENTS, read: async () => ({ rows: await client.agents() }) }, connection, args, context);
        break;
      case "show":
        context.print(JSON.stringify(await ask(client.agent(agent ?? "")), null, 2));
        break;
      case "add": {
        const name = await add(connection, args, absolutePath(agent ?? "", process.cwd()));
        context.note(`Added agent ${name}; give it a run with: ${context.program()} submit --agent ${name} 'PROMPT'`);
        break;
      }
      case "rm":
        await ask(client.deleteAgent(agent ?? ""));
        context.note(`Removed agent ${agent}`);
    }
    return ExitCode.ok;
  },
};

const AGENTS = {
  headings: ["AGENT", "STATUS", "SOURCE", "TAGS", "DESCRIPTION"],
  row: (agent: AgentInfo): string[] => [
    agent.name,
    agent.status ?? "-",
    agent.source ?? "-",
    (agent.tags ?? []).join(",") || "-",
    agent.description ?? "",
  ],
};

/** Adds the agent of a folder; gives its name. */
async function add({ client, ask }: Connection, args: CommandArgs, folder: string): Promise<string> {
  const agent = readAgent(folder);
  if (flagArg(args, "replace") && (await ask(client.agents())).some(({ name }) => name === agent.name)) {
    await ask(client.deleteAgent(agent.name));
  }
  await ask(client.createAgent(agent));
  return agent.name;
}

function readAgent(folder: string): CreateAgent {
  const name = basename(folder);
  const file = readAgentFile(folder, name, { within: folder, trustedFolders: null });
  if (file.kind === "broken")
    throw new UserError(`No agent can be read from ${folder}: ${file.fault}`, { exitCode: ExitCode.usage });
  return v.parse(CreateAgentSchema, { name, ...file.definition });
}
