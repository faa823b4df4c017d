import { expect, test } from "bun:test";
import { join } from "node:path";

// Zones written as rules need no zone table on the machine. Only a process of its own has a zone that SQLite sees, too.
test.each([
  ["UTC0", "2025-01-15 10:00:05", "2025-07-15 10:00:05"],
  ["EST5EDT,M3.2.0,M11.1.0", "2025-01-15 05:00:05", "2025-07-15 06:00:05"],
  ["IST-5:30", "2025-01-15 15:30:05", "2025-07-15 15:30:05"],
])("localTime: the machine's zone, summer time included (TZ=%s)", (zone, winter, summer) => {
  const script = `
    const { localTime } = await import(${JSON.stringify(join(import.meta.dir, "../src/local-time.ts"))});
    for (const month of ["01", "07"]) console.log(localTime(new Date(\`2025-\${month}-15T10:00:05.999Z\`)));
  `;
  const { stdout, stderr } = Bun.spawnSync([process.execPath, "-e", script], { env: { ...process.env, TZ: zone } });
  expect(stderr.toString()).toBe("");
  expect(stdout.toString().split("\n")).toEqual([winter, summer, ""]);
});
