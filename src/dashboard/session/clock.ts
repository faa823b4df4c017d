import { useEffect, useState } from "preact/hooks";

const EVERY_MS = 1_000;

/** The time, each second while something goes on. */
export function useClock(goesOn: boolean): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    setNowMs(Date.now());
    if (!goesOn) return;
    const timer = setInterval(() => setNowMs(Date.now()), EVERY_MS);
    return () => clearInterval(timer);
  }, [goesOn]);
  return nowMs;
}
