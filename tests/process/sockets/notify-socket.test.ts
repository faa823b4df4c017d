import { expect, test } from "bun:test";
import { join } from "node:path";
import { notifySocket } from "../../../src/process/sockets/notify-socket.ts";
import { randomHex12 } from "../../../src/protocol/identifiers.ts";
import { datagramSocket } from "../../harness/datagram-socket.ts";
import { tempFolder } from "../../harness/temp-folder.ts";

const isLinux = process.platform === "linux";

test.if(isLinux)("notifySocket: sends complete messages to a socket in the file system", () => {
  using folder = tempFolder();
  using socket = datagramSocket(join(folder.path, "notify"));
  expect(notifySocket(socket.path, "READY=1\nSTATUS=grüße")).toBe(true);
  expect(notifySocket(socket.path, "WATCHDOG=1")).toBe(true);
  expect(socket.take()).toEqual(["READY=1\nSTATUS=grüße", "WATCHDOG=1"]);
});

test.if(isLinux)("notifySocket: sends a message to a socket in the abstract namespace", () => {
  using socket = datagramSocket(`@agent-runner-test-${randomHex12()}`);
  expect(notifySocket(socket.path, "READY=1")).toBe(true);
  expect(socket.take()).toEqual(["READY=1"]);
});

test.each(["/nowhere/notify", "relative", "", `/${"x".repeat(200)}`])(
  "notifySocket: returns false for the path %p",
  (path) => {
    expect(notifySocket(path, "READY=1")).toBe(false);
  },
);
