/*
 * Avoids node's streams: loading them takes as long as starting the rest of the runtime.
 */
let stdout: Bun.FileSink | undefined;
let stderr: Bun.FileSink | undefined;

/** Resolves once the system has the text. Waiting for it keeps large output out of memory and loses nothing at exit. */
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
