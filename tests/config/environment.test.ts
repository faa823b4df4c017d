import { expect, test } from "bun:test";
import { inheritableEnvironment, userFolders } from "../../src/config/environment.ts";

test("inheritableEnvironment: withholds the runner's credentials and control variables only", () => {
  const withheld = {
    AUTH0_DOMAIN: "d",
    AUTH0_RUNNER_CLIENT_ID: "i",
    AUTH0_RUNNER_CLIENT_SECRET: "s",
    AUTH0_AUDIENCE: "a",
    AUTH0_CLIENT_SECRET: "s",
    AUTH0_: "",
    AGENT_COORDINATOR_TOKEN: "t",
    BUN_OPTIONS: "--preload=x",
    BUN_BE_BUN: "1",
    BUN_INSPECT: "1",
  };
  const kept = { PATH: "/bin", HOME: "/home/me", ANTHROPIC_API_KEY: "key", EMPTY: "" };
  expect(inheritableEnvironment({ ...withheld, ...kept, UNSET: undefined })).toEqual(kept);
});

test("userFolders: XDG variables win over the folders in HOME", () => {
  expect(userFolders({ HOME: "/h" }, "linux")).toEqual({
    config: "/h/.config/agent-runner",
    data: "/h/.local/share/agent-runner",
    state: "/h/.local/state/agent-runner",
  });
  const xdg = { HOME: "/h", XDG_CONFIG_HOME: "/c", XDG_DATA_HOME: "/d", XDG_STATE_HOME: "/s" };
  expect(userFolders(xdg, "linux")).toEqual({
    config: "/c/agent-runner",
    data: "/d/agent-runner",
    state: "/s/agent-runner",
  });
});

test("userFolders: a relative XDG variable counts as not set", () => {
  const relative = { HOME: "/h", XDG_CONFIG_HOME: "c", XDG_DATA_HOME: "./d", XDG_STATE_HOME: "../s" };
  expect(userFolders(relative, "linux")).toEqual(userFolders({ HOME: "/h" }, "linux"));
});

test("userFolders: the application folders on Windows", () => {
  const folders = userFolders({ HOME: "/h", APPDATA: "/roaming", LOCALAPPDATA: "/local" }, "win32");
  expect(folders).toEqual({
    config: "/roaming/agent-runner",
    data: "/local/agent-runner/data",
    state: "/local/agent-runner/state",
  });
});
