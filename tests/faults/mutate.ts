import type { SeededRandom } from "./seeded-random.ts";

const DEEP = "[".repeat(2_000) + "]".repeat(2_000);

function junk(random: SeededRandom): unknown {
  return random.pick<() => unknown>([
    () => null,
    () => true,
    () => -1,
    () => 1e308,
    () => "",
    () => "../../etc",
    () => "x".repeat(random.whole(1, 5_000)),
    () => "\u0000\u202e\ud800",
    () => [],
    () => ({}),
    () => [[["deep"]]],
    () => JSON.parse(DEEP) as unknown,
    () => JSON.parse('{"__proto__": {"run_id": "x"}, "constructor": 1}') as unknown,
  ])();
}

/** Changes, removes or adds one part of the value. */
export function mutateValue(random: SeededRandom, value: unknown): unknown {
  if (typeof value !== "object" || value === null || random.chance(0.15)) return junk(random);
  if (Array.isArray(value))
    return value.length === 0 ? [junk(random)] : value.map((item, i) => (i === 0 ? mutateValue(random, item) : item));
  const keys = Object.keys(value);
  const [first = "extra", ...more] = keys;
  const key = random.pick([first, ...more]);
  const { [key]: chosen, ...rest } = value as Record<string, unknown>;
  if (random.chance(0.3)) return rest;
  if (random.chance(0.1)) return { ...value, [`extra${random.whole(0, 9)}`]: junk(random) };
  return { ...rest, [key]: mutateValue(random, chosen) };
}

/** Mutates the bytes so that they usually are not JSON any more. */
export function mutateBytes(random: SeededRandom, text: string): Buffer {
  const bytes = Buffer.from(text);
  const at = random.whole(0, bytes.length);
  return random.pick<() => Buffer>([
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xfe, 0xc0, 0x80]), bytes.subarray(at)]),
    () => Buffer.concat([bytes, bytes]),
    () => Buffer.from(Array.from({ length: random.whole(1, 200) }, () => random.whole(0, 255))),
    () => Buffer.from("<html><body>503</body></html>"),
    () => Buffer.concat([Buffer.from("\ufeff"), bytes.subarray(at)]),
    () => Buffer.from(DEEP),
  ])();
}
