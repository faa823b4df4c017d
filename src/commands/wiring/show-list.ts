import { flagArg } from "../command-line/arguments.ts";
import type { CommandArgs, CommandContext } from "../command-line/command.ts";
import { printTable, terminalWidth } from "../terminal/table.ts";
import { watch } from "../terminal/watch.ts";
import type { Connection } from "./connect.ts";
import { inSteps } from "./silent-runner.ts";

export interface ShownList<Row> {
  readonly headings: readonly string[];
  readonly row: (row: Row) => readonly string[];
  readonly read: () => Promise<{ readonly rows: readonly Row[]; readonly isCut?: boolean }>;
}

/** Prints a list as `--json` and `--watch` say. Resolves to whether it leaves out rows. */
export async function showList<Row>(
  { headings, row, read }: ShownList<Row>,
  { ask }: Connection,
  args: CommandArgs,
  context: CommandContext,
): Promise<boolean> {
  const isJson = flagArg(args, "json");
  const table = (rows: readonly Row[]): string => printTable(headings, rows.map(row), terminalWidth(context));
  if (flagArg(args, "watch")) {
    await ask(
      watch(context, async () => {
        const { rows } = await read();
        return { key: JSON.stringify(rows, withoutAge), text: isJson ? JSON.stringify(rows) : table(rows) };
      }),
    );
    return false;
  }
  const { rows, isCut = false } = await ask(read());
  context.print(isJson ? JSON.stringify(rows, null, 2) : table(rows));
  return isCut;
}

/** Leaves out the age of a heartbeat: it differs on each read and would redraw without a change. */
function withoutAge(key: string, value: unknown): unknown {
  if (key === "lost_in_seconds" && typeof value === "number") return inSteps(value);
  return key === "seconds_since_heartbeat" ? undefined : value;
}
