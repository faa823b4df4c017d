import { loadConfig } from "../config/load-config.ts";
import { ExitCode, UserError } from "../errors.ts";
import { LOGIN_FRAGMENT } from "../protocol/access/login.ts";
import { flagArg } from "./command-line/arguments.ts";
import type { Command } from "./command-line/command.ts";
import { commonOptions, coordinatorOptions, stateDirOption } from "./command-line/options.ts";
import { connect } from "./wiring/connect.ts";
import { findCoordinator } from "./wiring/running-coordinators.ts";
import { readTokenFile, tokenFileOf } from "./wiring/token-file.ts";

export const tokenCommand: Command = {
  name: "token",
  description: "Prints the token of your coordinator, for programs that call it.",
  args: {
    link: { type: "boolean", description: "Print a link that logs in to the dashboard once, within ten minutes" },
    ...coordinatorOptions,
    ...stateDirOption,
    ...commonOptions,
  },
  notes: [
    "The token is AGENT_COORDINATOR_TOKEN if that is set, else that of your running coordinator, else that in the " +
      "state folder.",
    "Everyone who has the token can run commands as you.",
  ],
  examples: [
    [
      'curl -H "Authorization: Bearer $(agent-runner token)" http://localhost:8765/runs',
      "Call the coordinator from another program",
    ],
    ["agent-runner token --link", "Log in to the dashboard again"],
  ],
  async run(args, context) {
    const config = loadConfig(args, context.env);
    if (flagArg(args, "link")) {
      const { client, ask } = connect(config, context);
      const code = await ask(client.loginCode());
      context.print(`${client.baseUrl}/#${LOGIN_FRAGMENT}${code}`);
      return ExitCode.ok;
    }
    const running = findCoordinator(config, config.coordinatorUrl);
    const path = running?.tokenFile ?? tokenFileOf(config.stateDir);
    const token = config.coordinatorToken ?? readTokenFile(path);
    if (token === null)
      throw new UserError(`There is no token in ${path}`, {
        hint: "Start a coordinator, again if the file was deleted; or name its state folder with --state-dir",
      });
    context.print(token);
    return ExitCode.ok;
  },
};
