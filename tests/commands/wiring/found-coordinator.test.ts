import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CoordinatorClient } from "../../../src/client/coordinator-client.ts";
import { FoundCoordinator } from "../../../src/commands/wiring/found-coordinator.ts";
import { noteCoordinator } from "../../../src/commands/wiring/running-coordinators.ts";
import { loadConfig } from "../../../src/config/load-config.ts";
import { silentLog } from "../../../src/log.ts";
import { HAS_OPENSSL, makeCertificate } from "../../harness/certificate.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const TLS = join(import.meta.dir, "../../fixtures/tls");

/** An https server that records what it is sent, and a client that found it by a note with `certificate`. */
function world(certificateOf: (folder: string) => string) {
  const folder = tempFolder();
  const seen: (string | null)[] = [];
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    tls: { cert: readFileSync(join(TLS, "cert.pem")), key: readFileSync(join(TLS, "key.pem")) },
    fetch: ({ headers }) => (seen.push(headers.get("authorization")), Response.json({ runs: [] })),
  });
  const tokenFile = join(folder.path, "token");
  writeFileSync(tokenFile, "t".repeat(43), { mode: 0o600 });
  const url = `http://localhost:${server.port}`;
  const config = loadConfig({ "coordinator-url": url }, { HOME: folder.path }, folder.path);
  const listening = {
    host: "127.0.0.1",
    port: server.port ?? 0,
    url: `https://127.0.0.1:${server.port}`,
    certificate: certificateOf(folder.path),
  };
  const note = noteCoordinator(config, listening, tokenFile, silentLog);
  return {
    seen,
    client: new CoordinatorClient(url, new FoundCoordinator(config)),
    async [Symbol.asyncDispose]() {
      note[Symbol.dispose]();
      await server.stop(true);
      folder[Symbol.dispose]();
    },
  };
}

test("FoundCoordinator: the token goes to the address of the note, whatever name its certificate has", async () => {
  await using w = world(() => readFileSync(join(TLS, "cert.pem"), "utf8"));
  expect(await w.client.runs()).toEqual([]);
  expect(w.client.baseUrl).toStartWith("https://127.0.0.1:");
  expect(w.seen).toEqual([`Bearer ${"t".repeat(43)}`]);
});

test.skipIf(!HAS_OPENSSL)(
  "FoundCoordinator: a server with another certificate than that of the note gets nothing",
  async () => {
    await using w = world((folder) => {
      return readFileSync(makeCertificate(folder, "other").cert, "utf8");
    });
    expect(await w.client.runs().catch((error: unknown) => error)).toMatchObject({ kind: "untrusted" });
    const poll = w.client.poll("lnch_x", { stopsOnly: false, signal: new AbortController().signal });
    expect(await poll.catch((error: unknown) => error)).toMatchObject({ kind: "untrusted" });
    expect(w.seen).toEqual([]);
  },
);
