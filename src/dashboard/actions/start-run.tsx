import type { VNode } from "preact";
import { useState } from "preact/hooks";
import * as v from "valibot";
import { AgentsAnswer, CreatedRunAnswer } from "../../protocol/answers.ts";
import { Copy } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import { type Services, useQuery } from "../query.ts";
import { linkTo } from "../route.ts";
import { commandLine } from "./command-line.ts";

const READ_ONCE = { isAffectedBy: (): boolean => false };

/** The form for a new run. Opens the run's session afterwards. */
export function StartRun({ services, onClose }: { readonly services: Services; readonly onClose: () => void }): VNode {
  const [prompt, setPrompt] = useState("");
  const [agent, setAgent] = useState("");
  const [projectDir, setProjectDir] = useState("");
  const [tagText, setTagText] = useState("");
  const { value: agents } = useQuery(services, "/agents", AgentsAnswer, READ_ONCE);
  const active = (agents ?? []).filter(({ status }) => status === "active");
  const tags = tagText
    .split(",")
    .map((tag) => tag.trim())
    .filter(Boolean);
  const start = async (): Promise<void> => {
    const body = {
      type: "start_session",
      prompt,
      ...(agent === "" ? {} : { agent_name: agent }),
      ...(projectDir.trim() === "" ? {} : { project_dir: projectDir.trim() }),
      ...(tags.length === 0 ? {} : { additional_demands: { tags } }),
    };
    const { session_id } = v.parse(CreatedRunAnswer, await services.api.write("POST", "/runs", body));
    location.hash = linkTo({ view: "session", sessionId: session_id });
  };
  return (
    <Dialog title="Start a run" confirm="Start" onConfirm={start} onClose={onClose}>
      <label>
        Prompt
        <textarea
          name="prompt"
          rows={5}
          required
          placeholder="What should the agent do?"
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
        />
      </label>
      <label>
        Agent
        <select name="agent" value={agent} onChange={(event) => setAgent(event.currentTarget.value)}>
          <option value="">No blueprint: the prompt only</option>
          {active.map(({ name, description }) => (
            <option key={name} value={name}>
              {description === "" ? name : `${name}: ${description.slice(0, 80)}`}
            </option>
          ))}
        </select>
      </label>
      <label>
        Project folder <span class="quiet">on the runner's machine; empty: the runner's own</span>
        <input
          name="project-dir"
          placeholder="/home/me/project"
          value={projectDir}
          onInput={(event) => setProjectDir(event.currentTarget.value)}
        />
      </label>
      <label>
        Tags <span class="quiet">that the runner must have, comma-separated</span>
        <input
          name="tags"
          placeholder="gpu, docker"
          value={tagText}
          onInput={(event) => setTagText(event.currentTarget.value)}
        />
      </label>
      <Copy text={commandLine({ prompt, agent, projectDir: projectDir.trim(), tags })} label="Copy as command" />
    </Dialog>
  );
}
