import { useEffect, useState } from "preact/hooks";

const EVERY_MS = 1_000;

/** The current time, updated each second while active. */
export function useClock(isActive: boolean): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    setNowMs(Date.now());
    if (!isActive) return;
    const timer = setInterval(() => setNowMs(Date.now()), EVERY_MS);
    return () => clearInterval(timer);
  }, [isActive]);
  return nowMs;
}
