import { useEffect, useState } from "preact/hooks";

const EVERY_MS = 1_000;
const REFRESH_MS = 5_000;

/** The time, each second while something goes on. */
export function useNow(goesOn: boolean): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    setNowMs(Date.now());
    if (!goesOn) return;
    const timer = setInterval(() => setNowMs(Date.now()), EVERY_MS);
    return () => clearInterval(timer);
  }, [goesOn]);
  return nowMs;
}

/** A run that is claimed, or that waits for its time, tells nobody. */
export function useRegularly(isWanted: boolean, step: () => void): void {
  useEffect(() => {
    if (!isWanted) return;
    const timer = setInterval(step, REFRESH_MS);
    return () => clearInterval(timer);
  }, [isWanted, step]);
}
