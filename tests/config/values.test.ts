import { expect, test } from "bun:test";
import * as v from "valibot";
import { Age, Duration, Flag, HttpUrl, List, Seconds, Size, Text, wholeNumber } from "../../src/config/values.ts";

/** The parsed inputs; `undefined` for a refused one. */
function parsed<S extends v.GenericSchema>(schema: S, inputs: readonly unknown[]): unknown[] {
  return inputs.map((input) => {
    const result = v.safeParse(schema, input);
    return result.success ? result.output : undefined;
  });
}

test("Duration: seconds, or a number with a unit; in milliseconds", () => {
  expect(parsed(Duration, [90, "90", "500ms", "30s", "5m", "2h", "1d", "1.5 h", " 3s "])).toEqual([
    90_000, 90_000, 500, 30_000, 300_000, 7_200_000, 86_400_000, 5_400_000, 3_000,
  ]);
});

test("Duration: refuses text that is not a time", () => {
  expect(
    parsed(Duration, ["", "soon", "-5", "5 weeks", "1h30m", "1e3", Number.NaN, Number.POSITIVE_INFINITY, true]),
  ).toEqual(Array(9).fill(undefined));
});

test("Duration: refuses a time that is too long for a timer", () => {
  expect(parsed(Duration, ["24d", "25d", "100000h"])).toEqual([2_073_600_000, undefined, undefined]);
});

test("Age: a time of any length", () => {
  expect(parsed(Age, ["30d", "90d", 60, "400d", "soon", "5w"])).toEqual([
    2_592_000_000,
    7_776_000_000,
    60_000,
    34_560_000_000,
    undefined,
    undefined,
  ]);
});

test("Size: bytes, or a number with a unit of 1024", () => {
  expect(parsed(Size, [1048576, "1048576", "64MiB", "64M", "64mb", "1G", "2k", "0.5K", "7b"])).toEqual([
    1048576, 1048576, 67108864, 67108864, 67108864, 1073741824, 2048, 512, 7,
  ]);
});

test("Size: refuses text that is not a size", () => {
  expect(parsed(Size, ["", "much", "-1", "1T", "1 2"])).toEqual(Array(5).fill(undefined));
});

test("wholeNumber: within its range only", () => {
  expect(parsed(wholeNumber(1, 10), ["1", 10, " 5 ", "0", 11, "1.5", "", "0x5", "five"])).toEqual([
    1,
    10,
    5,
    ...Array(6).fill(undefined),
  ]);
});

test("Seconds: times from a tenth of a second to an hour, in seconds", () => {
  expect(parsed(Seconds, ["30", 0.1, "1h", "100ms", "0", "0.05", "2h"])).toEqual([
    30,
    0.1,
    3600,
    0.1,
    undefined,
    undefined,
    undefined,
  ]);
});

test("Flag: the usual words for yes and no", () => {
  expect(parsed(Flag, [true, "1", "TRUE", "yes", "on"])).toEqual(Array(5).fill(true));
  expect(parsed(Flag, [false, "", "0", "False", "no", "off"])).toEqual(Array(6).fill(false));
  expect(parsed(Flag, ["maybe", "2"])).toEqual([undefined, undefined]);
});

test("List: commas, or an array; drops white space and empty parts", () => {
  expect(parsed(List, ["a, b,,c ", ["x", " y "], "", ["a", 1]])).toEqual([["a", "b", "c"], ["x", "y"], [], undefined]);
});

test("Text: trimmed, and not empty", () => {
  expect(parsed(Text, [" a ", "", "   ", 5])).toEqual(["a", undefined, undefined, undefined]);
});

test("HttpUrl: drops a trailing slash and keeps its path", () => {
  expect(parsed(HttpUrl, ["http://h:1/", "https://h/a/b//", " http://[::1]:8765 "])).toEqual([
    "http://h:1",
    "https://h/a/b",
    "http://[::1]:8765",
  ]);
});

test("HttpUrl: refuses another scheme, no scheme, and credentials", () => {
  expect(parsed(HttpUrl, ["localhost:8765", "ftp://h", "//h", "", "http://me:secret@h"])).toEqual(
    Array(5).fill(undefined),
  );
});

test("HttpUrl: the refusal of credentials does not repeat them", () => {
  const { issues } = v.safeParse(HttpUrl, "http://me:hunter2@h");
  expect(JSON.stringify(issues?.map((issue) => issue.message))).not.toContain("hunter2");
});
