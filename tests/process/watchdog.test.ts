import { expect, test } from "bun:test";
import { silentLog } from "../../src/log.ts";
import { RUN_MARKER, readProcessTable } from "../../src/process/process-table.ts";
import { Watchdog } from "../../src/process/watchdog.ts";
import { isAlive, killProcess, parentOf, processesWith } from "../harness/processes.ts";
import { until } from "../harness/until.ts";

test.if(process.platform === "linux")(
  "endEarlier: ends a watchdog with the sleep that it started after the scan, and no process of another runner",
  async () => {
    const marker = `watchdog.${process.pid}`;
    const start = (mark: string) =>
      Bun.spawn(["sh", "-c", "read -r _; sleep 300; :"], {
        env: { ...process.env, [RUN_MARKER]: mark },
        stdin: "pipe",
        detached: true,
      });
    const earlier = start(marker);
    const other = start(`${marker}.other`);
    try {
      await until("the processes", () => processesWith(RUN_MARKER, marker).length === 1);
      const table = await readProcessTable();
      await earlier.stdin.end();
      const sleep = await until("the sleep", () =>
        processesWith(RUN_MARKER, marker).find((pid) => parentOf(pid) === earlier.pid),
      );
      new Watchdog({ afterMs: 0, command: [], marker, env: {}, log: silentLog }).endEarlier(table);
      await until("both to end", () => !isAlive(earlier.pid) && !isAlive(sleep));
      expect(isAlive(other.pid)).toBe(true);
    } finally {
      for (const pid of [marker, `${marker}.other`].flatMap((mark) => processesWith(RUN_MARKER, mark)))
        killProcess(pid);
    }
  },
);
