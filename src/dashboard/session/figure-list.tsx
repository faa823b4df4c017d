import type { VNode } from "preact";
import { cost, duration, tokens } from "../parts/figures.ts";

export interface Usage {
  readonly total_cost_usd: number | null;
  readonly num_turns: number | null;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly run_ms?: number;
}

/** The usage of a run or a session, without unknown values. */
export function FigureList({ usage }: { readonly usage: Usage }): VNode | null {
  const { total_cost_usd, num_turns, input_tokens, output_tokens, run_ms } = usage;
  const figures: readonly (readonly [name: string, value: string])[] = [
    ["Run time", run_ms === undefined ? "" : duration(run_ms)],
    ["Cost", cost(total_cost_usd ?? 0)],
    ["Turns", num_turns === null || num_turns === 0 ? "" : String(num_turns)],
    ["Tokens in", tokens(input_tokens ?? 0)],
    ["Tokens out", tokens(output_tokens ?? 0)],
  ];
  const known = figures.filter(([, value]) => value !== "");
  if (known.length === 0) return null;
  return (
    <dl class="figures">
      {known.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
