import { expect, test } from "bun:test";
import { gateEnvironment } from "../../scripts/gate-environment.ts";

test("gateEnvironment drops the user's own runner settings and keeps the rest", () => {
  const env = gateEnvironment("/scratch", {
    PATH: "/bin",
    AGENT_ORCHESTRATOR_API_URL: "http://real.invalid",
    PROJECT_DIR: "/home/me",
    AUTH0_DOMAIN: "real.invalid",
    ANTHROPIC_API_KEY: "real",
    CLAUDE_CODE_OAUTH_TOKEN: "real",
    CLAUDECODE: "1",
    BUN_OPTIONS: "--smol",
  });
  expect(Object.keys(env).sort()).toEqual([
    "GATE_SCRATCH",
    "NO_COLOR",
    "NO_PROXY",
    "PATH",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "no_proxy",
  ]);
});

test("gateEnvironment keeps state, configuration and data out of the user's folders", () => {
  const { XDG_STATE_HOME, XDG_CONFIG_HOME, XDG_DATA_HOME } = gateEnvironment("/scratch", {
    XDG_STATE_HOME: "/home/me/.state",
  });
  for (const folder of [XDG_STATE_HOME, XDG_CONFIG_HOME, XDG_DATA_HOME]) expect(folder).toMatch(/^[/\\]scratch[/\\]/);
});

test("gateEnvironment takes loopback out of the proxy and keeps other exceptions, in both spellings", () => {
  const { NO_PROXY, no_proxy } = gateEnvironment("/scratch", {
    NO_PROXY: "intranet.example",
    HTTP_PROXY: "http://proxy.example",
  });
  expect(NO_PROXY).toBe("intranet.example,127.0.0.1,localhost,::1");
  expect(no_proxy).toBe(NO_PROXY);
});
