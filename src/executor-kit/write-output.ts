/*
 * Not by way of node's streams: those cost as much start-up time as the rest of the runtime.
 */
let stdout: Bun.FileSink | undefined;
let stderr: Bun.FileSink | undefined;

/** Resolves when the text has been handed to the system, so that nothing is lost at the end and a flood is not held in memory. */
export function writeStdout(text: string): Promise<void> {
  return write((stdout ??= Bun.stdout.writer()), text);
}

export function writeStderr(text: string): Promise<void> {
  return write((stderr ??= Bun.stderr.writer()), text);
}

async function write(sink: Bun.FileSink, text: string): Promise<void> {
  await sink.write(text);
  await sink.flush();
}
