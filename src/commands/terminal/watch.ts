import { setTimeout as pause } from "node:timers/promises";
import { failureOfThrown } from "../../client/failure.ts";
import type { CommandContext } from "../command-line/command.ts";

const LOOK_EVERY_MS = 1_000;
/** The cursor to the upper left, and everything from there on wiped out. */
const AGAIN = "\x1b[H\x1b[J";

/**
 * Shows something again whenever it has changed, until nobody reads it any more or the user ends the program: in its place on a terminal, one after the other
 * elsewhere. `look` gives what is shown, and by what it is to be known whether it has changed. An outage of the coordinator is waited out.
 */
export async function watch(
  context: CommandContext,
  look: () => Promise<{ readonly shown: string; readonly known: string }>,
): Promise<void> {
  let last: string | null = null;
  let isAway = false;
  if (context.isTerminal) context.write("\x1b[2J");
  while (context.hasReader()) {
    try {
      const { shown, known } = await look();
      // A terminal of another size takes other lines, and other columns.
      const now = context.isTerminal ? `${process.stdout.columns}x${process.stdout.rows} ${known}` : known;
      if (now !== last || isAway) context.write(context.isTerminal ? `${AGAIN}${fitting(shown)}\n` : `${shown}\n`);
      last = now;
      isAway = false;
    } catch (error) {
      const failure = failureOfThrown("watch", error);
      // Who has seen nothing yet has typed something wrong rather than met an outage.
      if (!failure.isRetryable || last === null) throw error;
      if (!isAway) context.note(`${failure.message}; going on when the coordinator is back`);
      isAway = true;
    }
    await pause(LOOK_EVERY_MS);
  }
}

/** As many lines as the terminal has, the headings and the newest: what is longer would scroll away instead of being replaced. */
function fitting(shown: string): string {
  const [headings = "", ...rows] = shown.split("\n");
  const room = Math.max(1, (process.stdout.rows || 24) - 2);
  return [headings, ...rows.slice(-room)].join("\n");
}
