import { expect, test } from "bun:test";
import { nearest } from "../../src/config/nearest.ts";

const COMMANDS = ["up", "coordinator", "submit", "runs", "sessions", "runners", "stop", "doctor"];

test.each([
  ["submti", "submit"],
  ["sbumit", "submit"],
  ["Doctor", "doctor"],
  ["coordinater", "coordinator"],
  ["coord", "coordinator"],
  ["runz", "runs"],
])("nearest: %s probably means %s", (word, meant) => {
  expect(nearest(word, COMMANDS)).toBe(meant);
});

test.each(["deploy", "xyzzy", "", "q"])("nearest: nothing is near to %p", (word) => {
  expect(nearest(word, COMMANDS)).toBeUndefined();
});
