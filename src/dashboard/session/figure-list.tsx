import type { VNode } from "preact";
import { cost, duration, tokens } from "./figures.ts";

export interface Used {
  readonly total_cost_usd: number | null;
  readonly num_turns: number | null;
  readonly input_tokens: number | null;
  readonly output_tokens: number | null;
  readonly run_ms?: number;
}

/** What a run or a session has used; what nobody told is not there. */
export function FigureList({ used }: { readonly used: Used }): VNode | null {
  const { total_cost_usd, num_turns, input_tokens, output_tokens, run_ms } = used;
  const figures: [string, string | null][] = [
    ["Run time", run_ms === undefined ? null : duration(run_ms)],
    ["Cost", total_cost_usd === null || total_cost_usd === 0 ? null : cost(total_cost_usd)],
    ["Turns", num_turns === null || num_turns === 0 ? null : String(num_turns)],
    ["Tokens in", input_tokens === null || input_tokens === 0 ? null : tokens(input_tokens)],
    ["Tokens out", output_tokens === null || output_tokens === 0 ? null : tokens(output_tokens)],
  ];
  const told = figures.filter(([, value]) => value !== null);
  if (told.length === 0) return null;
  return (
    <dl class="figures">
      {told.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
