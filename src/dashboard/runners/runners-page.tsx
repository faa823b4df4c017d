import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type * as v from "valibot";
import { RunnersAnswer } from "../../protocol/answers.ts";
import { Copy } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { ago, counted } from "../parts/figures.ts";
import { Status } from "../parts/status.tsx";
import { Words } from "../parts/words.tsx";
import { type Services, useNow, useQuery } from "../query.ts";

type Runner = v.InferOutput<typeof RunnersAnswer>["runners"][number];

/** The runners that are registered: whether they are there, and what they have to do. */
export function RunnersPage({ services }: { readonly services: Services }): VNode {
  const nowMs = useNow(1_000);
  const { value, fault } = useQuery(services, "/runners", RunnersAnswer, { everyMs: 5_000 });
  const command = `agent-runner -x test-executor -c ${location.origin}`;
  return (
    <>
      <h1>Runners</h1>
      {fault !== null && (
        <p role="alert" class="fault">
          The runners cannot be listed: {fault}
        </p>
      )}
      {value?.runners.length === 0 && <p>No runner is registered. On the machine where agents are to run:</p>}
      {value !== null && (
        <ul class="cards">
          {value.runners.map((runner) => (
            <RunnerCard key={runner.runner_id} services={services} runner={runner} nowMs={nowMs} />
          ))}
        </ul>
      )}
      <p class="command">
        <code>{command}</code> <Copy text={command} label="Copy the command" />
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
  const [isAsked, setIsAsked] = useState(false);
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
  } = runner;
  return (
    <li class="card" data-runner={id}>
      <div class="tree-line">
        <div class="tree-main">
          <h2 class="tree-title">
            <Words text={hostname} most={80} />
          </h2>
          <p class="tree-about">
            <Status status={status} />{" "}
            <span>{active_runs === 0 ? "nothing to do" : `${counted(active_runs, "run")} at work`}</span>
            <span class="quiet">
              last heartbeat <time dateTime={last_heartbeat}>{ago(last_heartbeat, nowMs)}</time>, registered{" "}
              <time dateTime={registered_at}>{ago(registered_at, nowMs)}</time>
            </span>
          </p>
          <dl class="facts">
            <div>
              <dt>Executor</dt>
              <dd>
                <Words text={executor_type} most={80} />
              </dd>
            </div>
            <div>
              <dt>Folder</dt>
              <dd>
                <Words text={project_dir} />
              </dd>
            </div>
            {tags.length > 0 && (
              <div>
                <dt>Tags</dt>
                <dd>
                  {tags.map((tag) => (
                    <span key={tag} class="tag">
                      <Words text={tag} most={60} />
                    </span>
                  ))}
                </dd>
              </div>
            )}
          </dl>
          <div class="card-foot">
            <div class="actions">
              <button type="button" class="small danger-text" onClick={() => setIsAsked(true)}>
                Deregister
              </button>
              <Copy text={id} label="Copy id" />
            </div>
          </div>
        </div>
      </div>
      {isAsked && (
        <Dialog
          title="Deregister this runner?"
          confirm="Deregister"
          isDangerous
          onClose={() => setIsAsked(false)}
          onConfirm={async () => void (await services.api.write("DELETE", `/runners/${encodeURIComponent(id)}`))}
        >
          <p>
            It takes no more runs, ends those that it has, and leaves. To have it back, start it again on its machine.
          </p>
        </Dialog>
      )}
    </li>
  );
}
