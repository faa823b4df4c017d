import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type * as v from "valibot";
import { RunnersAnswer } from "../../protocol/answers.ts";
import { useAdminRefusal } from "../caller.ts";
import { Copy } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { Countdown } from "../parts/countdown.tsx";
import { ago, counted } from "../parts/figures.ts";
import { Status } from "../parts/status.tsx";
import { InlineText } from "../parts/inline-text.tsx";
import { type Services, useNow, useQuery } from "../query.ts";

type Runner = v.InferOutput<typeof RunnersAnswer>["runners"][number];

/** The registered runners, with their status and load. */
export function RunnersPage({ services }: { readonly services: Services }): VNode {
  const nowMs = useNow(1_000);
  const { value, fault } = useQuery(services, "/runners", RunnersAnswer, { everyMs: 5_000 });
  const command = `agent-runner -x test-executor -c ${location.origin}`;
  return (
    <>
      <h1>Runners</h1>
      {fault !== null && (
        <p role="alert" class="fault">
          Failed to load the runners: {fault}
        </p>
      )}
      {value?.runners.length === 0 && <p>No runner is registered. Start one on the machine where agents should run:</p>}
      {value !== null && (
        <ul class="cards">
          {value.runners.map((runner) => (
            <RunnerCard key={runner.runner_id} services={services} runner={runner} nowMs={nowMs} />
          ))}
        </ul>
      )}
      <p class="command">
        <code>{command}</code> <Copy text={command} label="Copy command" />
      </p>
    </>
  );
}

function RunnerCard({
  services,
  runner,
  nowMs,
}: {
  readonly services: Services;
  readonly runner: Runner;
  readonly nowMs: number;
}): VNode {
  const [isConfirming, setIsConfirming] = useState(false);
  const mayDeregister = useAdminRefusal() === null;
  const {
    runner_id: id,
    hostname,
    project_dir,
    executor_type,
    tags,
    status,
    active_runs,
    last_heartbeat,
    registered_at,
    lost_in_seconds,
    is_awaited,
    cannot_run,
  } = runner;
  return (
    <li class="card" data-runner={id}>
      <div class="tree-line">
        <div class="tree-main">
          <h2 class="tree-title">
            <InlineText text={hostname} max={80} />
          </h2>
          <p class="tree-about">
            <Status status={status} /> <span>{active_runs === 0 ? "idle" : counted(active_runs, "active run")}</span>
            <span class="quiet">
              last heartbeat <time dateTime={last_heartbeat}>{ago(last_heartbeat, nowMs)}</time>, registered{" "}
              <time dateTime={registered_at}>{ago(registered_at, nowMs)}</time>
            </span>
          </p>
          {lost_in_seconds !== null && (
            <p class="unreachable">
              This runner cannot be reached: its runs are given up in <Countdown seconds={lost_in_seconds} />.
            </p>
          )}
          {cannot_run !== null && (
            <p class="unreachable">
              This runner takes no runs: <InlineText text={cannot_run} />
            </p>
          )}
          {is_awaited && (
            <p class="unreachable">
              This runner has not reported yet which runs it holds. Until then the coordinator gives out no runs.
            </p>
          )}
          <dl class="facts">
            <div>
              <dt>Executor</dt>
              <dd>
                <InlineText text={executor_type} max={80} />
              </dd>
            </div>
            <div>
              <dt>Folder</dt>
              <dd>
                <InlineText text={project_dir} />
              </dd>
            </div>
            {tags.length > 0 && (
              <div>
                <dt>Tags</dt>
                <dd>
                  {tags.map((tag) => (
                    <span key={tag} class="tag">
                      <InlineText text={tag} max={60} />
                    </span>
                  ))}
                </dd>
              </div>
            )}
          </dl>
          <div class="card-foot">
            <div class="actions">
              {mayDeregister && (
                <button type="button" class="small danger-text" onClick={() => setIsConfirming(true)}>
                  Deregister
                </button>
              )}
              <Copy text={id} label="Copy ID" />
            </div>
          </div>
        </div>
      </div>
      {isConfirming && (
        <Dialog
          title="Deregister this runner?"
          confirm="Deregister"
          isDangerous
          onClose={() => setIsConfirming(false)}
          onConfirm={async () => void (await services.api.write("DELETE", `/runners/${encodeURIComponent(id)}`))}
        >
          <p>
            The runner claims no more runs, waits for the runs that it has, and exits. To bring it back, start it on its
            machine.
          </p>
        </Dialog>
      )}
    </li>
  );
}
