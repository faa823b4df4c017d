const open = new Set<() => void>();

/**
 * Calls `end` if the program is interrupted before the returned object is disposed. `end` must do all its work
 * synchronously.
 */
export function endIfAbandoned(end: () => void): Disposable {
  open.add(end);
  return { [Symbol.dispose]: () => void open.delete(end) };
}

/** Ends everything that would outlive this program. Call before it exits on an interrupt. */
export function abandonAll(): void {
  for (const end of open) end();
  open.clear();
}
