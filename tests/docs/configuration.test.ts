import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { REFERENCE_FILE, settingsReference } from "../../scripts/settings-reference.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { tempFolder } from "../harness/temp-folder.ts";

test("docs/configuration.md is up to date (else run scripts/settings-reference.ts)", async () => {
  expect(readFileSync(REFERENCE_FILE, "utf8")).toBe(await settingsReference());
});

test("docs/configuration.md: the example is a valid settings file", async () => {
  using folder = tempFolder();
  const [, example = ""] = /```toml\n([\s\S]*?)```/.exec(readFileSync(REFERENCE_FILE, "utf8")) ?? [];
  await Bun.write(`${folder.path}/agent-runner/config.toml`, example);
  const config = loadConfig({}, { HOME: folder.path, XDG_CONFIG_HOME: folder.path });
  expect(config).toMatchObject({
    coordinatorUrl: "http://coordinator:8765",
    executor: "claude-code",
    drainTimeoutMs: 60_000,
    metrics: { host: "127.0.0.1", port: 9464 },
  });
});
