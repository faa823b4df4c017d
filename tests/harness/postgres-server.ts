import { chownSync, chmodSync, cpSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { postgresForTests } from "../../scripts/postgres.ts";
import { endIfAbandoned } from "./abandon.ts";
import { tempFolder } from "./temp-folder.ts";
import { until } from "./until.ts";

/** PostgreSQL refuses to run as root: "nobody", under whatever name. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;

/** No disk is waited for: a crash of the server loses nothing that a crash of the machine would. */
const SETTINGS = {
  fsync: "off",
  full_page_writes: "off",
  shared_buffers: "16MB",
  max_connections: "500",
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  max_prepared_transactions: "0",
};

/** A PostgreSQL server in a temporary folder, on a free port of 127.0.0.1. */
export class PostgresServer implements AsyncDisposable {
  readonly #folder: ReturnType<typeof tempFolder>;
  readonly #programs: string;
  readonly #abandoned = endIfAbandoned(() => this.#child?.kill("SIGKILL"));
  #child: Bun.Subprocess | null = null;
  readonly port: number;

  private constructor(folder: ReturnType<typeof tempFolder>, programs: string, port: number) {
    this.#folder = folder;
    this.#programs = programs;
    this.port = port;
  }

  static async start(): Promise<PostgresServer> {
    const folder = tempFolder();
    const programs = reachable(await postgresForTests(), folder.path);
    mkdirSync(join(folder.path, "data"));
    if (isRoot) {
      chmodSync(folder.path, 0o711);
      chownSync(join(folder.path, "data"), NOBODY, NOBODY);
    }
    const server = new PostgresServer(folder, programs, await freePort());
    await server.#initialize();
    await server.launch();
    return server;
  }

  /** The URL of its database. */
  get url(): string {
    return `postgres://postgres@127.0.0.1:${this.port}/postgres?sslmode=disable`;
  }

  /** Starts the server again after `quit`. Resolves when it takes connections. */
  async launch(): Promise<void> {
    const settings = Object.entries({ ...SETTINGS, port: String(this.port) }).flatMap(([k, w]) => ["-c", `${k}=${w}`]);
    const log = join(this.#folder.path, "log");
    // The server ends with the process of the tests, also after a SIGKILL.
    this.#child = Bun.spawn(this.#asOwner(["postgres", "-D", this.#data, ...settings]), {
      cwd: "/",
      stdin: "ignore",
      stdout: "ignore",
      stderr: Bun.file(log),
    });
    const child = this.#child;
    await until("PostgreSQL takes connections", async () => {
      if (child.exitCode !== null) throw new Error(`PostgreSQL has ended:\n${readFileSync(log, "utf8")}`);
      return await canConnect(this.port);
    });
  }

  /** As `pg_ctl stop -m immediate`: nothing is finished, and the next start recovers. */
  async quit(): Promise<void> {
    this.#child?.kill("SIGQUIT");
    await this.#child?.exited;
  }

  /** As `pg_ctl restart -m immediate`. */
  async crash(): Promise<void> {
    await this.quit();
    await this.launch();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.quit();
    this.#abandoned[Symbol.dispose]();
    this.#folder[Symbol.dispose]();
  }

  get #data(): string {
    return join(this.#folder.path, "data");
  }

  async #initialize(): Promise<void> {
    const options = ["-D", this.#data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"];
    const child = Bun.spawn(this.#asOwner(["initdb", ...options]), {
      cwd: "/",
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    const [exitCode, output] = await Promise.all([child.exited, new Response(child.stderr).text()]);
    if (exitCode !== 0) throw new Error(`initdb failed:\n${output}`);
  }

  #asOwner([program = "", ...args]: readonly string[]): string[] {
    const command = [join(this.#programs, program), ...args];
    if (Bun.which("setpriv") === null) return command;
    const owner = isRoot ? [`--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
    return ["setpriv", ...owner, "--pdeathsig=QUIT", ...command];
  }
}

/** Programs below a folder that only root can enter are copied. */
function reachable(programs: string, folder: string): string {
  if (!isRoot) return programs;
  const test = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "test", "-x"];
  if (Bun.spawnSync([...test, join(programs, "postgres")]).success) return programs;
  const copy = join(folder, "postgres");
  cpSync(dirname(programs), copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, "bin");
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

async function canConnect(port: number): Promise<boolean> {
  const sql = new Bun.SQL(`postgres://postgres@127.0.0.1:${port}/postgres?sslmode=disable`, { max: 1 });
  try {
    await sql.unsafe("SELECT 1");
    return true;
  } catch {
    return false;
  } finally {
    await sql.close({ timeout: 0 });
  }
}
