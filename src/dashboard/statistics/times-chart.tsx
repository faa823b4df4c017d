import type { VNode } from "preact";
import type * as v from "valibot";
import type { StatsAnswer } from "../../protocol/answers.ts";
import { duration } from "../parts/figures.ts";

type Steps = v.InferOutput<typeof StatsAnswer>["run"];

/** A histogram of times, without the empty steps at its two ends. */
export function TimesChart({ name, steps }: { readonly name: string; readonly steps: Steps }): VNode {
  const first = steps.findIndex(({ runs }) => runs > 0);
  const last = steps.findLastIndex(({ runs }) => runs > 0);
  const shown = first < 0 ? [] : steps.slice(first, last + 1);
  const highest = Math.max(1, ...shown.map(({ runs }) => runs));
  return (
    <section class="chart">
      <h2>{name}</h2>
      {shown.length === 0 ? (
        <p class="quiet">No runs in this period.</p>
      ) : (
        <table class="bars">
          <thead class="unseen">
            <tr>
              <th scope="col">Time</th>
              <th scope="col">Runs</th>
            </tr>
          </thead>
          <tbody>
            {shown.map(({ up_to_ms, runs }) => (
              <tr key={up_to_ms ?? "more"}>
                <th scope="row">{up_to_ms === null ? "longer" : `up to ${duration(up_to_ms).replace(".0", "")}`}</th>
                <td>
                  <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
                    <rect class="bar-time" width={(runs / highest) * 100} height="10" />
                  </svg>
                  <span>{runs.toLocaleString("en")}</span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}
