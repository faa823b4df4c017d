import { expect, test } from "bun:test";
import { isLoopback, isTrustedHost } from "../../src/protocol/loopback.ts";

test.each([
  ["localhost", true],
  ["LocalHost", true],
  ["127.0.0.1", true],
  ["127.8.9.10", true],
  ["::1", true],
  ["[::1]", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.1.4", false],
  ["127.evil.example", false],
  ["127.0.0.1.evil.example", false],
  ["localhost.evil.example", false],
])("isLoopback of %s is %p", (host, expected) => {
  expect(isLoopback(host)).toBe(expected);
});

test.each([
  [null, true],
  ["localhost:8765", true],
  ["127.0.0.1:8765", true],
  ["[::1]:8765", true],
  ["192.168.1.4:8765", true],
  ["[fe80::1]:8765", true],
  ["evil.example", false],
  ["127.evil.example:8765", false],
  ["", false],
  ["[::1", false],
])("isTrustedHost of %p is %p", (host, expected) => {
  expect(isTrustedHost(host)).toBe(expected);
});
