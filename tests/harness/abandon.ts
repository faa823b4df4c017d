const open = new Set<() => void>();

/** `end` is called if the program is interrupted before what is returned has been disposed. It has to be done when it returns. */
export function endIfAbandoned(end: () => void): Disposable {
  open.add(end);
  return { [Symbol.dispose]: () => void open.delete(end) };
}

/** For a program that is interrupted and leaves at once: ends all that would outlive it. */
export function abandonAll(): void {
  for (const end of open) end();
  open.clear();
}
