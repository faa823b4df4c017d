import { test } from "bun:test";
import { again, IS_AGAIN } from "./again.ts";
import { TWICE } from "./twice-store.ts";

test.skipIf(IS_AGAIN)(
  "the work of a transaction may be done again: these suites hold although each is, once in vain",
  async () => await again(["runs", "runners", "sessions", "agents"], { [TWICE]: "1" }),
  600_000,
);
