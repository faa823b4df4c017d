import { expect, test } from "bun:test";
import { HOSTILITIES } from "./hostile-executors.ts";

for (const { name, endure } of HOSTILITIES) {
  test(
    `an executor that ${name}: the run is reported as it ended, and nothing is left`,
    async () => {
      const reason = await endure();
      if (reason !== undefined) console.log(`not tried (${name}): ${reason}`);
      expect(reason ?? "").toBeString();
    },
    { timeout: 120_000 },
  );
}
