// `bun run scripts/with-postgres.ts COMMAND...` runs the command with a PostgreSQL server of its own. The coordinator
// of each test then has its database there, in a schema of its own, and not in a file.
import { PostgresServer } from "../tests/harness/postgres-server.ts";

await using server = await PostgresServer.start();
const child = Bun.spawn(process.argv.slice(2), {
  stdio: ["inherit", "inherit", "inherit"],
  env: { ...process.env, AGENT_RUNNER_TEST_DATABASE: server.url, AGENT_RUNNER_TEST_STORE: "postgres" },
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
process.exitCode = await child.exited;
