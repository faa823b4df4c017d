import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import { delay } from "../../async/delay.ts";
import type { Api } from "../api.ts";
import { messageFor } from "../query.ts";
import { AgentText } from "./agent-text.tsx";

/** The limit per stream on the page. */
const MAX_CHARACTERS = 64 * 1024;
const BYTES_PER_READ = 32 * 1024;
const EVERY_MS = 1_000;

const Stream = v.object({ from: v.number(), to: v.number(), size: v.number(), text: v.string() });
type Stream = v.InferOutput<typeof Stream>;
const Output = v.object({ stdout: Stream, stderr: Stream });
type Output = v.InferOutput<typeof Output>;

export interface OutputTailProps {
  readonly runId: string;
  readonly isActive: boolean;
  readonly api: Api;
}

/** The end of a run's stdout and stderr. Follows the output while the run is active. */
export function OutputTail({ runId, isActive, api }: OutputTailProps): VNode {
  const [output, setOutput] = useState<Output | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  useEffect(() => {
    const end = new AbortController();
    void follow(`/runs/${encodeURIComponent(runId)}/output`, {
      api,
      isActive,
      signal: end.signal,
      show: setOutput,
      onFault: setFault,
    });
    return () => end.abort();
  }, [runId, isActive, api]);
  return (
    <div class="output">
      {fault !== null && <p class="quiet">{fault}</p>}
      {output === null
        ? fault === null && <p class="quiet">Loading…</p>
        : (["stdout", "stderr"] as const).map((name) => <StreamView key={name} name={name} stream={output[name]} />)}
    </div>
  );
}

function StreamView({ name, stream }: { readonly name: string; readonly stream: Stream }): VNode {
  return (
    <section aria-label={name}>
      <h4>{name}</h4>
      {stream.from > 0 && stream.text !== "" && (
        <p class="quiet">The last part of {stream.size.toLocaleString("en")} bytes.</p>
      )}
      {stream.text === "" ? <p class="quiet">empty</p> : <Tail text={stream.text} />}
    </section>
  );
}

/** Starts at the bottom, and stays there until the reader scrolls up. */
function Tail({ text }: { readonly text: string }): VNode {
  const scroll = (box: HTMLDivElement | null): void => {
    if (
      box !== null &&
      (box.dataset["seen"] === undefined || box.scrollHeight - box.scrollTop - box.clientHeight < 200)
    )
      box.scrollTop = box.scrollHeight;
    if (box !== null) box.dataset["seen"] = "";
  };
  return (
    <div class="output-text" tabIndex={0} ref={scroll}>
      <AgentText text={text} isCode first={MAX_CHARACTERS} />
    </div>
  );
}

interface FollowOptions {
  readonly api: Api;
  readonly isActive: boolean;
  readonly signal: AbortSignal;
  readonly show: (output: Output) => void;
  readonly onFault: (fault: string | null) => void;
}

async function follow(path: string, { api, isActive, signal, show, onFault }: FollowOptions): Promise<void> {
  let shown: Output | null = null;
  do {
    try {
      const from: string = shown === null ? "" : `&stdout_from=${shown.stdout.to}&stderr_from=${shown.stderr.to}`;
      const next: Output = v.parse(Output, await api.read(`${path}?bytes=${BYTES_PER_READ}${from}`, signal));
      shown =
        shown === null
          ? next
          : { stdout: joined(shown.stdout, next.stdout), stderr: joined(shown.stderr, next.stderr) };
      if (signal.aborted) return;
      show(shown);
      onFault(null);
    } catch (error) {
      if (signal.aborted) return;
      onFault(messageFor(error));
    }
    await delay(EVERY_MS, signal);
  } while (isActive && !signal.aborted);
}

function joined(before: Stream, after: Stream): Stream {
  // The runner dropped the start of the file, or the file grew by more than one read.
  if (after.from !== before.to) return after;
  const text = (before.text + after.text).slice(-MAX_CHARACTERS);
  return {
    ...after,
    text,
    from: text.length < before.text.length + after.text.length ? after.to - text.length : before.from,
  };
}
