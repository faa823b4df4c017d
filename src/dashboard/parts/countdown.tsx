import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { duration } from "./figures.ts";

/** Counts down from `seconds` by the second, and starts again with each new value. */
export function Countdown({ seconds }: { readonly seconds: number }): VNode {
  const [leftMs, setLeftMs] = useState(seconds * 1_000);
  useEffect(() => {
    const endMs = performance.now() + seconds * 1_000;
    const update = (): void => setLeftMs(Math.max(0, endMs - performance.now()));
    update();
    const timer = setInterval(update, 1_000);
    return () => clearInterval(timer);
  }, [seconds]);
  return <span class="countdown">{leftMs === 0 ? "a moment" : duration(leftMs)}</span>;
}
