const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Reads all of stdin as text. Rejects above `maxBytes` (default: 64 MiB). Rejects with the signal's reason when
 * `signal` fires: a stop must work even if the parent process keeps stdin open.
 */
export async function readStdin(signal: AbortSignal, maxBytes = MAX_BYTES): Promise<string> {
  const reader = Bun.stdin.stream().getReader();
  const cancel = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", cancel, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (;;) {
      const { value, done } = await reader.read();
      signal.throwIfAborted();
      if (done) break;
      bytes += value.byteLength;
      if (bytes > maxBytes) {
        cancel();
        throw new Error(`the invocation on stdin is larger than ${maxBytes} bytes`);
      }
      chunks.push(value);
    }
    return new TextDecoder().decode(Buffer.concat(chunks));
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}
