import { basename, resolve } from "node:path";
import type { CoordinatorClient } from "../client/coordinator-client.ts";
import { loadConfig } from "../config/load-config.ts";
import { readAgentFile } from "../coordinator/agents/agent-file.ts";
import { ExitCode, usageError, UserError } from "../errors.ts";
import { type AgentInfo, type CreateAgent, CreateAgent as CreateAgentSchema } from "../protocol/agent.ts";
import * as v from "valibot";
import { type Command, type CommandArgs, type CommandContext, textArg } from "./command-line/command.ts";
import { asking, connect } from "./wiring/connect.ts";
import { commonOptions, coordinatorOptions, jsonOption, watchOption } from "./command-line/options.ts";
import { printTable } from "./terminal/table.ts";
import { watch } from "./terminal/watch.ts";

const ACTIONS = ["list", "show", "add", "rm"] as const;

export const agentsCommand: Command = {
  name: "agents",
  description: "Lists, shows, adds and removes the agents that runs can be given to.",
  args: {
    action: { type: "positional", required: false, description: "list (what is done without it), show, add or rm" },
    what: {
      type: "positional",
      required: false,
      description: "The agent's name; for add, a folder with agent.json in it",
    },
    replace: { type: "boolean", description: "With add: take the place of an agent of that name" },
    ...watchOption,
    ...jsonOption,
    ...coordinatorOptions,
    ...commonOptions,
  },
  examples: [
    ["agent-runner agents", "a table"],
    ["agent-runner agents show researcher", "one of them, as JSON"],
    [
      "agent-runner agents add ./agents/researcher",
      "from agent.json, agent.system-prompt.md and agent.mcp.json in that folder",
    ],
    ["agent-runner agents rm researcher", "remove it"],
  ],
  async run(args, context) {
    const action = textArg(args, "action") ?? "list";
    const what = textArg(args, "what");
    if (!isAction(action)) throw usageError(`agents: there is no ${action}`, `Write one of ${ACTIONS.join(", ")}`);
    if (action !== "list" && what === undefined)
      throw usageError(`agents ${action}: ${action === "add" ? "which folder?" : "which agent?"}`);
    if (action === "list" && what !== undefined) throw usageError(`Unexpected word: ${what}`);
    const client = connect(
      loadConfig({ "coordinator-url": args["coordinator-url"], config: args["config"] }, context.env),
    );
    if (action === "list") await list(client, args, context);
    if (action === "show") context.print(JSON.stringify(await asking(client, client.agent(what ?? "")), null, 2));
    if (action === "add") await add(client, args, context, resolve(what ?? ""));
    if (action === "rm") {
      await asking(client, client.deleteAgent(what ?? ""));
      context.note(`Agent ${what} is removed`);
    }
    return ExitCode.ok;
  },
};

function isAction(word: string): word is (typeof ACTIONS)[number] {
  return (ACTIONS as readonly string[]).includes(word);
}

async function list(client: CoordinatorClient, args: CommandArgs, context: CommandContext): Promise<void> {
  const isJson = args["json"] === true;
  if (args["watch"] === true) {
    const look = async (): Promise<{ shown: string; known: string }> => {
      const agents = await client.agents();
      const known = JSON.stringify(agents);
      return { known, shown: isJson ? known : table(agents, context) };
    };
    return asking(client, watch(context, look));
  }
  const agents = await asking(client, client.agents());
  context.print(isJson ? JSON.stringify(agents, null, 2) : table(agents, context));
}

function table(agents: readonly AgentInfo[], context: CommandContext): string {
  const rows = agents.map((agent) => [
    agent.name,
    agent.status ?? "-",
    agent.source ?? "-",
    (agent.tags ?? []).join(",") || "-",
    agent.description ?? "",
  ]);
  return printTable(
    ["AGENT", "STATUS", "SOURCE", "TAGS", "DESCRIPTION"],
    rows,
    context.isTerminal ? process.stdout.columns : undefined,
  );
}

async function add(
  client: CoordinatorClient,
  args: CommandArgs,
  context: CommandContext,
  folder: string,
): Promise<void> {
  const agent = agentOf(folder);
  if (args["replace"] === true && (await asking(client, client.agents())).some(({ name }) => name === agent.name)) {
    await asking(client, client.deleteAgent(agent.name));
  }
  await asking(client, client.createAgent(agent));
  context.note(`Agent ${agent.name} is there; give it a run with: agent-runner submit --agent ${agent.name} 'PROMPT'`);
}

function agentOf(folder: string): CreateAgent {
  const name = basename(folder);
  const file = readAgentFile(folder, name);
  if (file.kind === "broken")
    throw new UserError(`No agent can be read from ${folder}: ${file.fault}`, { exitCode: ExitCode.usage });
  return v.parse(CreateAgentSchema, { name, ...file.definition });
}
