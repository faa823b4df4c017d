import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { useRunRefusal } from "../caller.ts";
import { counted } from "../parts/figures.ts";
import { Copy } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import type { Services } from "../query.ts";
import { commandLine } from "./command-line.ts";
import { retryOf, type ShownRun } from "./retry.ts";

export interface SessionActionsProps {
  readonly services: Services;
  readonly sessionId: string;
  /** How many sessions of the tree are not done, this session included. */
  readonly open: number;
  readonly descendants: number;
  /** Null if unknown. */
  readonly lastRun: ShownRun | null;
  readonly canResume: boolean;
}

type OpenDialog = "stop" | "stop-tree" | "resume" | "retry" | null;

/** The buttons for a session and its descendants, with their dialogs. */
export function SessionActions(props: SessionActionsProps): VNode {
  const { services, sessionId, open, descendants, lastRun, canResume } = props;
  const [dialog, setDialog] = useState<OpenDialog>(null);
  const mayAct = useRunRefusal() === null;
  const close = (): void => setDialog(null);
  const path = `/sessions/${encodeURIComponent(sessionId)}`;
  return (
    <div class="actions">
      {mayAct && canResume && (
        <button type="button" class="small" onClick={() => setDialog("resume")}>
          Send a message
        </button>
      )}
      {mayAct &&
        lastRun !== null &&
        (lastRun.status === "failed" || lastRun.status === "stopped") &&
        lastRun.retried_by === null && (
          <button type="button" class="small" onClick={() => setDialog("retry")}>
            Retry
          </button>
        )}
      {mayAct && open > 0 && (
        <button
          type="button"
          class="small danger-text"
          onClick={() => setDialog(descendants > 0 ? "stop-tree" : "stop")}
        >
          {descendants > 0 ? "Stop tree" : "Stop"}
        </button>
      )}
      <Copy text={sessionId} label="Copy ID" />
      {dialog === "resume" && <Resume services={services} sessionId={sessionId} onClose={close} />}
      {dialog === "retry" && lastRun !== null && (
        <Dialog
          title="Retry this run?"
          confirm="Retry"
          onClose={close}
          onConfirm={async () => void (await services.api.write("POST", "/runs", retryOf(lastRun, canResume)))}
        >
          <p>
            {canResume
              ? "Sends the same message to the session again."
              : "Starts a new session with the same prompt, agent and project folder."}
          </p>
        </Dialog>
      )}
      {dialog === "stop" && (
        <Dialog
          title="Stop this session?"
          confirm="Stop"
          isDangerous
          onClose={close}
          onConfirm={async () => void (await services.api.write("POST", `${path}/stop`))}
        >
          <p>Stops the agent. The work done so far is kept.</p>
        </Dialog>
      )}
      {dialog === "stop-tree" && (
        <Dialog
          title="Stop the whole tree?"
          confirm="Stop all"
          isDangerous
          onClose={close}
          onConfirm={async () =>
            void (await services.api.write("POST", `/trees/${encodeURIComponent(sessionId)}/stop`))
          }
        >
          <p>
            Stops this session and its {counted(descendants, "descendant")}. Not done yet: {open}. The work done so far
            is kept. No parent is resumed.
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Resume({
  services,
  sessionId,
  onClose,
}: {
  readonly services: Services;
  readonly sessionId: string;
  readonly onClose: () => void;
}): VNode {
  const [prompt, setPrompt] = useState("");
  const send = async (): Promise<void> => {
    await services.api.write("POST", "/runs", { type: "resume_session", session_id: sessionId, prompt });
  };
  return (
    <Dialog title="Send a message" confirm="Send" onConfirm={send} onClose={onClose}>
      <label>
        Message
        <textarea
          name="message"
          rows={5}
          required
          value={prompt}
          onInput={(event) => setPrompt(event.currentTarget.value)}
        />
      </label>
      <p class="quiet">Adds a run that resumes the session. It waits for earlier runs of the session.</p>
      <Copy text={commandLine({ prompt, session: sessionId })} label="Copy as command" />
    </Dialog>
  );
}
