import { expect, test } from "bun:test";
import { LoginCodes } from "../../../../src/coordinator/routes/access/login-codes.ts";

test("a code logs in once", () => {
  const codes = new LoginCodes();
  const code = codes.create("secret");
  expect([codes.redeem("other"), codes.redeem(code), codes.redeem(code)]).toEqual([null, "secret", null]);
});

test("a code is valid for ten minutes", () => {
  let nowMs = 0;
  const codes = new LoginCodes(() => nowMs);
  const [first, second] = [codes.create("secret"), codes.create("secret")];
  nowMs = 599_999;
  expect(codes.redeem(first)).toBe("secret");
  nowMs = 600_000;
  expect(codes.redeem(second)).toBeNull();
});

test("the oldest of more than 100 open codes is dropped", () => {
  const codes = new LoginCodes();
  const all = Array.from({ length: 101 }, () => codes.create("secret"));
  expect(all.map((code) => codes.redeem(code))).toEqual([null, ...Array.from({ length: 100 }, () => "secret")]);
});
