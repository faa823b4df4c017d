import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { counted } from "../parts/figures.ts";
import { Copy } from "../parts/copy.tsx";
import { Dialog } from "../parts/dialog.tsx";
import type { Services } from "../query.ts";
import { commandLine } from "./command-line.ts";
import { retryOf, type ShownRun } from "./retry.ts";

export interface SessionActionsProps {
  readonly services: Services;
  readonly sessionId: string;
  /** Sessions of its tree in which something is open or waits, itself among them; how many sessions there are below it. */
  readonly open: number;
  readonly below: number;
  /** Its last run, where that is known. */
  readonly lastRun: ShownRun | null;
  readonly canResume: boolean;
}

type Asked = "stop" | "stop-tree" | "resume" | "retry" | null;

/** What can be done with a session and what is below it. */
export function SessionActions({ services, sessionId, open, below, lastRun, canResume }: SessionActionsProps): VNode {
  const [asked, setAsked] = useState<Asked>(null);
  const close = (): void => setAsked(null);
  const path = `/sessions/${encodeURIComponent(sessionId)}`;
  return (
    <div class="actions">
      {canResume && (
        <button type="button" class="small" onClick={() => setAsked("resume")}>
          Send a message
        </button>
      )}
      {lastRun !== null &&
        (lastRun.status === "failed" || lastRun.status === "stopped") &&
        lastRun.retried_by === null && (
          <button type="button" class="small" onClick={() => setAsked("retry")}>
            Retry
          </button>
        )}
      {open > 0 && (
        <button type="button" class="small danger-text" onClick={() => setAsked(below > 0 ? "stop-tree" : "stop")}>
          {below > 0 ? "Stop the tree" : "Stop"}
        </button>
      )}
      <Copy text={sessionId} label="Copy id" />
      {asked === "resume" && <Resume services={services} sessionId={sessionId} onClose={close} />}
      {asked === "retry" && lastRun !== null && (
        <Dialog
          title="Run it again?"
          confirm="Retry"
          onClose={close}
          onConfirm={async () => void (await services.api.write("POST", "/runs", retryOf(lastRun, canResume)))}
        >
          <p>
            {canResume
              ? "The same message is sent to the session again."
              : "A new session is started with the same prompt, agent and folder."}
          </p>
        </Dialog>
      )}
      {asked === "stop" && (
        <Dialog
          title="Stop this session?"
          confirm="Stop"
          isDangerous
          onClose={close}
          onConfirm={async () => void (await services.api.write("POST", `${path}/stop`))}
        >
          <p>Its agent is ended. What it has done so far stays.</p>
        </Dialog>
      )}
      {asked === "stop-tree" && (
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
            This session and the {counted(below, "session")} below it are stopped: {open} of them{" "}
            {open === 1 ? "is" : "are"} not done. What they have done so far stays, and nobody is resumed.
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
      <p class="quiet">The session goes on with it when it is its turn.</p>
      <Copy text={commandLine({ prompt, session: sessionId })} label="Copy as a command" />
    </Dialog>
  );
}
