import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { CoordinatorClient } from "../../src/client/coordinator-client.ts";
import { noAuthorization } from "../harness/authorization.ts";
import { Gateway } from "../../src/gateway/gateway.ts";
import type { Grant } from "../../src/gateway/grant.ts";
import { silentLog } from "../../src/log.ts";
import { toolServer } from "../../src/mcp/serve-tools.ts";

export interface ToolAnswer {
  readonly isError: boolean;
  readonly text: string;
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly value: any;
}

/** The agent of one run: a real MCP client. */
export class Agent {
  constructor(readonly client: Client) {}

  async call(
    name: string,
    args: Record<string, unknown> = {},
    options: Parameters<Client["callTool"]>[1] = {},
  ): Promise<ToolAnswer> {
    const result = await this.client.callTool({ name, arguments: args }, options);
    const [content] = result.content;
    const text = content?.type === "text" ? content.text : "";
    return { isError: result.isError === true, text, value: result.structuredContent };
  }
}

/** The tools behind a gateway, for any coordinator. The agent under test belongs to a run of the session `root`. */
export class ToolWorld implements AsyncDisposable {
  readonly gateway: Gateway;
  readonly grant: Grant;
  readonly draining = new AbortController();
  /** Runs whose agents wait for another run. */
  readonly waiting: string[] = [];
  readonly #clients: Client[] = [];

  private constructor(readonly url: string) {
    const coordinator = new CoordinatorClient(url, noAuthorization);
    const waits = (runId: string): Disposable => {
      this.waiting.push(runId);
      return { [Symbol.dispose]: () => void this.waiting.splice(this.waiting.indexOf(runId), 1) };
    };
    this.gateway = new Gateway({
      coordinator,
      scope: "tree",
      limits: { maxDepth: 3, maxChildren: 300, maxTreeRuns: 1000 },
      bounds: { projectDir: "/", childrenAnywhere: false, maxAttempts: 1 },
      hostname: "h",
      executorType: "e",
      log: silentLog,
      serveTools: toolServer({ coordinator, log: silentLog, draining: this.draining.signal, waits }),
    });
    this.gateway.open();
    this.grant = this.gateway.grant("run_root", "root");
  }

  static async at(url: string): Promise<ToolWorld> {
    const world = new ToolWorld(url);
    await world.post("/runs", { type: "start_session", session_id: "root", prompt: "p", parameters: { prompt: "p" } });
    return world;
  }

  get mcpUrl(): string {
    return this.gateway.mcpUrlOf(this.grant);
  }

  async agent(headers: Record<string, string> = {}, url = this.mcpUrl): Promise<Agent> {
    const client = new Client({ name: "test", version: "1" });
    this.#clients.push(client);
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers } }));
    return new Agent(client);
  }

  // oxlint-disable-next-line typescript/no-explicit-any
  async get(path: string): Promise<any> {
    return (await fetch(this.url + path)).json();
  }

  // oxlint-disable-next-line typescript/no-explicit-any
  async post(path: string, body: object = {}): Promise<any> {
    const response = await fetch(this.url + path, {
      method: "POST",
      body: JSON.stringify(body),
      headers: { "content-type": "application/json" },
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.gateway[Symbol.asyncDispose]();
  }
}
