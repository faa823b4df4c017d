import { delay } from "../../async/delay.ts";
import { failureOfThrown } from "../../client/failure.ts";
import { harmlessText } from "../../harmless-text.ts";
import type { CommandContext } from "../command-line/command.ts";

const READ_EVERY_MS = 1_000;
/** Moves the cursor to the upper left and clears the screen from there. */
const REDRAW = "\x1b[H\x1b[J";

/**
 * Shows text again on each change until its reader is gone: in place on a terminal, one after the other elsewhere.
 * `read` returns the text and a key; a new key redraws. Waits out an outage of the coordinator.
 */
export async function watch(
  context: CommandContext,
  read: () => Promise<{ readonly text: string; readonly key: string }>,
): Promise<void> {
  let lastKey: string | null = null;
  let isAway = false;
  if (context.isTerminal) context.draw("\x1b[2J");
  while (context.hasReader()) {
    try {
      const { text, key } = await read();
      // A resize of the terminal redraws, too.
      const sizedKey = context.isTerminal ? `${process.stdout.columns}x${process.stdout.rows} ${key}` : key;
      if (sizedKey !== lastKey || isAway) {
        if (context.isTerminal) context.draw(`${REDRAW}${harmlessText(fitting(text))}\n`);
        else context.print(text);
      }
      lastKey = sizedKey;
      isAway = false;
    } catch (error) {
      const failure = failureOfThrown("watch", error);
      // A failure of the first read is more likely a wrong URL than an outage.
      if (!failure.isRetryable || lastKey === null) throw error;
      if (!isAway) context.note(outageNote(failure));
      isAway = true;
    }
    await delay(READ_EVERY_MS);
  }
}

/** Tells a person that a command waits for the coordinator. */
export function outageNote({ message }: Error): string {
  return `${message}; waiting for the coordinator`;
}

/** Cuts a table to the terminal's lines, keeping the headings and the newest rows: longer text would scroll. */
function fitting(text: string): string {
  const [headings = "", ...rows] = text.split("\n");
  const room = Math.max(1, (process.stdout.rows || 24) - 2);
  return [headings, ...rows.slice(-room)].join("\n");
}
