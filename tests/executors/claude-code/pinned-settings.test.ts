import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type PinnedSettings, pinnedSettings } from "../../../executors/claude-code/pinned-settings.ts";
import { parseSettings } from "../../../executors/claude-code/settings.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

function write(path: string, content: unknown): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
}

/** The pins for the project `at/project`, with the home `at/home`. */
function pins(at: string, env: Record<string, string> = {}, table: Record<string, unknown> = {}): PinnedSettings {
  const parsed = parseSettings(table, {});
  if (!parsed.ok) throw new Error(parsed.faults.join("\n"));
  return pinnedSettings(parsed.settings, join(at, "project"), { HOME: join(at, "home"), ...env });
}

test("pinnedSettings: the environment's values, or none", () => {
  using at = tempFolder();
  const { env, apiKeyHelper } = pins(at.path, { ANTHROPIC_BASE_URL: "http://gateway", https_proxy: "http://proxy" });
  expect(env).toMatchObject({ ANTHROPIC_BASE_URL: "http://gateway", https_proxy: "http://proxy", ALL_PROXY: "" });
  expect(apiKeyHelper).toBe("");
  expect(Object.keys(env)).not.toContain("ANTHROPIC_MODEL");
});

test("pinnedSettings: the user's settings win, unless setting_sources leaves them out", () => {
  using at = tempFolder();
  write(join(at.path, "home/.claude/settings.json"), {
    apiKeyHelper: "my-helper",
    env: { ANTHROPIC_BASE_URL: "http://mine", CLAUDE_CODE_USE_BEDROCK: 1 },
  });
  const environment = { ANTHROPIC_BASE_URL: "http://gateway" };
  expect(pins(at.path, environment)).toMatchObject({
    apiKeyHelper: "my-helper",
    env: { ANTHROPIC_BASE_URL: "http://mine", CLAUDE_CODE_USE_BEDROCK: "1" },
  });
  expect(pins(at.path, environment, { setting_sources: ["project"] })).toMatchObject({
    apiKeyHelper: "",
    env: { ANTHROPIC_BASE_URL: "http://gateway" },
  });
});

const FILES: readonly string[] = [
  "project/.claude/settings.json",
  "project/.claude/settings.local.json",
  ".claude/settings.local.json",
  "main/.claude/settings.local.json",
];

test.each(FILES)("pinnedSettings: further variables of that kind that %s sets, and no others", (file) => {
  using at = tempFolder();
  write(join(at.path, "project/.git"), `gitdir: ${at.path}/main/.git/worktrees/project\n`);
  write(join(at.path, file), {
    env: {
      AWS_ENDPOINT_URL_STS: "http://foreign",
      GOOGLE_APPLICATION_CREDENTIALS: "x.json",
      OTEL_EXPORTER_OTLP_ENDPOINT: "http://foreign",
      NODE_EXTRA_CA_CERTS: "x.pem",
      npm_config_https_proxy: "http://foreign",
      DATABASE_URL: "postgres://own",
      ANTHROPIC_MODEL: "opus",
      PROXY_TARGET: "own",
    },
  });
  const { env } = pins(at.path, { AWS_ENDPOINT_URL_STS: "http://own" });
  expect(env).toMatchObject({
    AWS_ENDPOINT_URL_STS: "http://own",
    GOOGLE_APPLICATION_CREDENTIALS: "",
    OTEL_EXPORTER_OTLP_ENDPOINT: "",
    NODE_EXTRA_CA_CERTS: "",
    npm_config_https_proxy: "",
  });
  for (const name of ["DATABASE_URL", "ANTHROPIC_MODEL", "PROXY_TARGET"]) expect(env).not.toHaveProperty(name);
});

test.each(["utf8", "utf16le"] as const)("pinnedSettings: reads %s with its mark, as Claude Code does", (encoding) => {
  using at = tempFolder();
  mkdirSync(join(at.path, "project/.claude"), { recursive: true });
  const text = '\uFEFF{"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://foreign"}}';
  writeFileSync(join(at.path, "project/.claude/settings.json"), Buffer.from(text, encoding));
  expect(pins(at.path).env).toMatchObject({ OTEL_EXPORTER_OTLP_ENDPOINT: "" });
});
