import type { SeededRandom } from "./seeded-random.ts";

/**
 * What happens to one request on its way to the coordinator, or to the answer on its way back. `isDelivered`: whether the coordinator
 * got the request all the same.
 */
export type Fault =
  | { readonly kind: "none" }
  /** The connection is closed before the coordinator gets the request. */
  | { readonly kind: "drop-before" }
  /** The request is carried out, and the connection closed without an answer. */
  | { readonly kind: "drop-after" }
  | { readonly kind: "delay"; readonly ms: number }
  /** The request is taken, and nothing comes back until the connection is lost. */
  | { readonly kind: "half-open"; readonly ms: number }
  /** RST in the middle of the answer. */
  | { readonly kind: "reset" }
  /** FIN in the middle of the answer. */
  | { readonly kind: "truncate" }
  /** 200 with a body that is no JSON. */
  | { readonly kind: "garbage"; readonly isDelivered: boolean; readonly body: string }
  /** What a web server says when nothing is behind it. */
  | { readonly kind: "bad-gateway"; readonly isDelivered: boolean }
  /** The right answer, a few bytes at a time. */
  | { readonly kind: "trickle"; readonly pauseMs: number };

export const NO_FAULT: Fault = { kind: "none" };

const GARBAGE = [
  '{"run": <',
  "<html><body>Please log in to this network</body></html>",
  "\u0000\u0001\ufffd",
  "ok",
  '{"ok": true',
] as const;

/** One of all kinds of fault. Every waiting time is short, so that a schedule has time for many. */
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
