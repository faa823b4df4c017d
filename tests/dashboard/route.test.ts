import { expect, test } from "bun:test";
import { linkTo, routeOf } from "../../src/dashboard/route.ts";

test.each([
  ["", { view: "home" }],
  ["#/", { view: "home" }],
  ["#/sessions", { view: "sessions" }],
  ["#/nothing/of/the/kind", { view: "home" }],
  ["#/session", { view: "home" }],
  ["#/session/ses_1", { view: "session", sessionId: "ses_1" }],
  ["#/session/%zz", { view: "session", sessionId: "%zz" }],
] as const)("routeOf(%p)", (hash, route) => {
  expect(routeOf(hash)).toEqual(route);
});

test("linkTo and routeOf are inverse, for any session id", () => {
  for (const sessionId of ["ses_1", "a/b", "ä #?%", "<img src=x onerror=alert(1)>"]) {
    expect(routeOf(linkTo({ view: "session", sessionId }))).toEqual({ view: "session", sessionId });
  }
  for (const view of ["home", "sessions", "runners", "statistics"] as const)
    expect(routeOf(linkTo({ view }))).toEqual({ view });
});
