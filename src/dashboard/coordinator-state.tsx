import type { VNode } from "preact";
import type * as v from "valibot";
import { HealthAnswer } from "../protocol/answers.ts";
import { Countdown } from "./parts/countdown.tsx";
import { counted } from "./parts/figures.ts";
import { type Services, useQuery } from "./query.ts";
import { linkTo } from "./route.ts";

type ClaimsWait = NonNullable<v.InferOutput<typeof HealthAnswer>["claims_wait"]>;

/** The banner while the coordinator's database is faulty, or while it gives out no runs. */
export function CoordinatorState({ services }: { readonly services: Services }): VNode {
  const { value, fault, faultStatus } = useQuery(services, "/health", HealthAnswer, {
    isAffectedBy: () => false,
    everyMs: 5_000,
  });
  const wait = value?.claims_wait;
  const isFaulty = faultStatus === 503;
  return (
    <div role="status">
      {isFaulty && (
        <p class="outage">
          <strong>The coordinator is in trouble.</strong> {fault}
        </p>
      )}
      {!isFaulty && wait !== undefined && <Wait wait={wait} />}
    </div>
  );
}

function Wait({ wait: { reason, runners, at_most_seconds } }: { readonly wait: ClaimsWait }): VNode {
  if (reason === "started")
    return (
      <p class="outage outage-brief">
        <strong>The coordinator has just started.</strong> It gives out no runs until{" "}
        {counted(runners, "known runner has reported its runs", "known runners have reported their runs")}, at most{" "}
        <Countdown seconds={at_most_seconds} />.
      </p>
    );
  return (
    <p class="outage">
      <strong>A backup of the database was restored.</strong> The coordinator gives out no runs until{" "}
      {counted(runners, "runner has", "runners have")} reported the runs since the backup, for at most{" "}
      <Countdown seconds={at_most_seconds} />. Deregister a runner that does not come back:{" "}
      <a href={linkTo({ view: "runners" })}>Runners</a>
    </p>
  );
}
