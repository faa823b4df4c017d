import type { SeededRandom } from "./seeded-random.ts";

/** A fault of one request or its answer. `isDelivered`: whether the coordinator still gets the request. */
export type Fault =
  | { readonly kind: "none" }
  /** Closes the connection before the coordinator gets the request. */
  | { readonly kind: "drop-before" }
  /** Delivers the request, and closes the connection without an answer. */
  | { readonly kind: "drop-after" }
  | { readonly kind: "delay"; readonly ms: number }
  /** Accepts the request, does not deliver it, and closes the connection after a while. */
  | { readonly kind: "half-open"; readonly ms: number }
  /** Sends RST in the middle of the answer. */
  | { readonly kind: "reset" }
  /** Sends FIN in the middle of the answer. */
  | { readonly kind: "truncate" }
  /** Answers 200 with a body that is not JSON. */
  | { readonly kind: "garbage"; readonly isDelivered: boolean; readonly body: string }
  /** Answers like a proxy without a server behind it. */
  | { readonly kind: "bad-gateway"; readonly isDelivered: boolean }
  /** Sends the correct answer, a few bytes at a time. */
  | { readonly kind: "trickle"; readonly pauseMs: number };

export const NO_FAULT: Fault = { kind: "none" };

const GARBAGE = [
  '{"run": <',
  "<html><body>Please log in to this network</body></html>",
  "\u0000\u0001\ufffd",
  "ok",
  '{"ok": true',
] as const;

/** A random fault of any kind. All delays are short, so that a schedule has time for many faults. */
export function randomFault(random: SeededRandom): Fault {
  const kind = random.pick([
    "drop-before",
    "drop-after",
    "delay",
    "half-open",
    "reset",
    "truncate",
    "garbage",
    "bad-gateway",
    "trickle",
  ] as const);
  switch (kind) {
    case "delay":
      return { kind, ms: random.whole(20, 600) };
    case "half-open":
      return { kind, ms: random.whole(100, 1_200) };
    case "garbage":
      return { kind, isDelivered: random.chance(0.5), body: random.pick(GARBAGE) };
    case "bad-gateway":
      return { kind, isDelivered: random.chance(0.5) };
    case "trickle":
      return { kind, pauseMs: random.whole(1, 20) };
    default:
      return { kind };
  }
}
