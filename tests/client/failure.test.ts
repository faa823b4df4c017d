import { expect, test } from "bun:test";
import { CoordinatorFailure, detailOf, failureOfAnswer, failureOfThrown } from "../../src/client/failure.ts";

test.each([
  ["a text", { detail: "gone" }, "gone"],
  ["an object with a message", { detail: { error: "duplicate_runner", message: "already there" } }, "already there"],
  ["an object with an error", { detail: { error: "duplicate_runner" } }, "duplicate_runner"],
  [
    "validation errors",
    {
      detail: [
        { loc: ["body", "prompt"], msg: "missing" },
        { loc: ["body", 0], msg: "bad" },
      ],
    },
    "body.prompt: missing; body.0: bad",
  ],
  ["validation errors without their fields", { detail: [{}] }, ": invalid"],
  ["a list of something else", { detail: [null, "odd"] }, '[null,"odd"]'],
  ["a number", { detail: 5 }, "5"],
])("detailOf: %s", (_, body, message) => {
  expect(detailOf(body)).toBe(message);
});

test("detailOf: returns undefined for anything else", () => {
  expect([undefined, null, "text", 5, [], {}].map(detailOf)).toEqual(Array(6).fill(undefined));
});

test("failureOfAnswer: keeps the parsed body, and reports one that is not JSON", () => {
  expect(failureOfAnswer("GET /x", 409, '{"detail":{"error":"e"}}').body).toEqual({ detail: { error: "e" } });
  expect(failureOfAnswer("GET /x", 502, "<html>Bad gateway</html>").message).toBe(
    "GET /x: the answer is not JSON (502)",
  );
  expect(failureOfAnswer("GET /x", 301, "{}")).toMatchObject({
    kind: "moved",
    message: "GET /x: the service has moved to another address (301)",
  });
});

test("failureOfThrown: keeps a CoordinatorFailure, and makes anything else unreachable", () => {
  const failure = new CoordinatorFailure("refused", "no");
  expect(failureOfThrown("x", failure)).toBe(failure);
  expect(failureOfThrown("x", new Error("odd"))).toMatchObject({ kind: "unreachable", message: "x: odd" });
});

test.each([
  ["ECONNREFUSED", "connection refused"],
  ["ENOTFOUND", "host name not found"],
  ["ECONNRESET", "connection lost"],
  ["ETIMEDOUT", "timed out"],
])("failureOfThrown: reports %s as %s, also as the cause of another error", (code, reason) => {
  const low = Object.assign(new Error("low"), { code });
  expect(failureOfThrown("x", low).message).toBe(`x: ${reason}`);
  expect(failureOfThrown("x", new Error("high", { cause: low })).message).toBe(`x: ${reason}`);
});
