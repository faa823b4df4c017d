import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { HAS_OPENSSL, makeCertificate } from "../harness/certificate.ts";
import { START_MS, TEST_TIMEOUT_MS, World } from "../harness/world.ts";

setDefaultTimeout(TEST_TIMEOUT_MS);

/** The options for a certificate NAME.crt in the world. */
function tlsOptions(world: World, name: string, days = 90): string[] {
  const { cert, key } = makeCertificate(world.path(""), name, { days });
  return ["--tls-cert", cert, "--tls-key", key];
}

test.skipIf(!HAS_OPENSSL)(
  "commands and runners find a coordinator with https by themselves, and no other",
  async () => {
    await using world = new World();
    const started = world.start(["up", "--port", "0", "-x", "test-executor", ...tlsOptions(world, "own")]);
    const [, url = ""] = await started.line(/Connecting to Agent Coordinator at (https:\S+)/, START_MS);
    await started.line(/Runner started/, START_MS);
    await started.line(/Dashboard: https:\S+#login=/);
    const { port } = new URL(url);
    for (const address of [url, `http://localhost:${port}`, `http://127.0.0.1:${port}`, `https://localhost:${port}`]) {
      const { code, stdout } = await world.run(["submit", "-c", address, "--wait", "Hello"]);
      expect([address, code, stdout]).toEqual([address, 0, expect.stringContaining("Hello")]);
    }
    const doctor = await world.run(["doctor", "-x", "test-executor", "-c", `http://localhost:${port}`]);
    expect([doctor.code, doctor.stdout]).toEqual([0, expect.anything()]);
    const worker = world.start(["-c", `http://localhost:${port}`, "-x", "test-executor", "-p", world.home]);
    await worker.line(/Runner started/, START_MS);
    // Without the note, the certificate is that of a stranger.
    const elsewhere = await world.run(["runs", "-c", url], { home: world.path("other-home") });
    expect([elsewhere.code, elsewhere.stderr]).toEqual([4, expect.stringContaining("cannot be trusted")]);
    const trusted = { NODE_EXTRA_CA_CERTS: world.path("own.crt") };
    const byName = await world.run(["runs", "-c", url], { home: world.path("other-home"), env: trusted });
    expect([byName.code, byName.stderr]).toEqual([4, expect.stringContaining("another host name")]);
  },
);

test.skipIf(!HAS_OPENSSL)("unusable files are refused at the start, each with its reason", async () => {
  await using world = new World();
  const own = tlsOptions(world, "own");
  const other = tlsOptions(world, "other");
  const old = tlsOptions(world, "old", -1);
  writeFileSync(world.path("text"), "no certificate");
  const [, cert = "", , key = ""] = own;
  const faults: [string[], string][] = [
    [["--tls-cert", cert], "TLS needs both files"],
    [["--tls-cert", world.path("missing"), "--tls-key", key], "Cannot read the TLS certificate"],
    [["--tls-cert", cert, "--tls-key", world.home], "Cannot read the TLS key"],
    [["--tls-cert", world.path("text"), "--tls-key", key], "TLS certificate"],
    [["--tls-cert", cert, "--tls-key", world.path("text")], "TLS key"],
    [["--tls-cert", cert, "--tls-key", other[3] ?? ""], "does not belong to the certificate"],
    [old, "expired on 2"],
  ];
  for (const [args, fault] of faults) {
    const { code, stderr } = await world.run(["coordinator", "--port", "0", ...args]);
    expect([args, code === 0, stderr]).toEqual([args, false, expect.stringContaining(fault)]);
  }
});

test.skipIf(!HAS_OPENSSL)("the coordinator warns of a certificate that expires soon, and of an open key", async () => {
  await using world = new World();
  const args = tlsOptions(world, "soon", 3);
  Bun.spawnSync(["chmod", "644", world.path("soon.key")]);
  const started = world.start(["coordinator", "--port", "0", ...args]);
  await started.line(/WARNING.*The TLS certificate \S+soon.crt expires on /, START_MS);
  await started.line(/WARNING.*can read the TLS key/);
});
