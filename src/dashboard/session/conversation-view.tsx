import type { VNode } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { AgentText } from "./agent-text.tsx";
import { conversationOf, type Entry, type MessageEntry, type NoteEntry, type ToolEntry } from "./conversation.ts";
import { EventWindow, type LoadEvents, type ShownEvents } from "./event-window.ts";
import { clockTime } from "../parts/figures.ts";
import { harmlessText } from "../../harmless-text.ts";

/** The reader counts as at the top or the bottom within this distance. */
const NEAR_PX = 40;
const NO_EVENTS: ShownEvents = { events: [], hasOlder: false, hasNewer: false, isLoaded: false, fault: null };

export interface ConversationProps {
  readonly load: LoadEvents;
  /** Calls the listener when there may be new events. Returns the function that unsubscribes. */
  readonly subscribe: (listener: () => void) => () => void;
  readonly isActive: boolean;
}

/** The conversation of a session, newest at the bottom. Follows new events while the reader is at the bottom. */
export function ConversationView({ load, subscribe, isActive }: ConversationProps): VNode {
  const [shown, setShown] = useState(NO_EVENTS);
  const box = useRef<HTMLElement>(null);
  const window = useEventWindow(load, subscribe, setShown);
  const scrolling = useScrolling(box, shown, window);
  const entries = useMemo(() => conversationOf(shown.events), [shown.events]);
  return (
    <div class="conversation-frame">
      {/* Focusable, so that the keyboard can scroll it. */}
      <section ref={box} class="conversation" tabIndex={0} aria-label="Conversation" onScroll={scrolling.onScroll}>
        {shown.hasOlder && (
          <button type="button" class="link-button" onClick={() => void window.current?.older()}>
            Show earlier
          </button>
        )}
        {shown.fault !== null && <p role="alert">Failed to load the conversation: {shown.fault}</p>}
        {entries.length === 0 && shown.fault === null && (
          <p class="quiet">{shown.isLoaded ? (isActive ? "No events yet." : "No events.") : "Loading…"}</p>
        )}
        <ol class="entries">
          {entries.map((entry) => (
            <li key={entry.id} data-entry={entry.id} class={`entry entry-${entry.kind}`}>
              <EntryView entry={entry} isActive={isActive} />
            </li>
          ))}
        </ol>
      </section>
      {(shown.hasNewer || !scrolling.isAtEnd) && (
        <button type="button" class="to-newest" onClick={scrolling.jumpToNewest}>
          {shown.hasNewer ? "New events: jump to newest" : "Jump to newest"} ↓
        </button>
      )}
    </div>
  );
}

function useEventWindow(
  load: LoadEvents,
  subscribe: ConversationProps["subscribe"],
  show: (shown: ShownEvents) => void,
): { readonly current: EventWindow | null } {
  const window = useRef<EventWindow | null>(null);
  useEffect(() => {
    const end = new AbortController();
    const opened = new EventWindow(load, end.signal, show);
    window.current = opened;
    void opened.jumpToNewest();
    const unsubscribe = subscribe(() => opened.notify());
    return () => {
      unsubscribe();
      end.abort();
    };
  }, [load, subscribe, show]);
  return window;
}

interface Scrolling {
  readonly isAtEnd: boolean;
  readonly onScroll: () => void;
  readonly jumpToNewest: () => void;
}

/** Keeps a reader at the end there; elsewhere keeps the visible entries in place. */
function useScrolling(
  box: { readonly current: HTMLElement | null },
  shown: ShownEvents,
  window: { readonly current: EventWindow | null },
): Scrolling {
  const [isAtEnd, setIsAtEnd] = useState(true);
  const isAtEndNow = useRef(true);
  const follow = (follows: boolean): void => {
    if (follows === isAtEndNow.current) return;
    isAtEndNow.current = follows;
    setIsAtEnd(follows);
    window.current?.follow(follows);
  };
  const anchor = useRef<Anchor | null>(null);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    if (isAtEndNow.current && !shown.hasNewer) element.scrollTop = element.scrollHeight;
    else restore(element, anchor.current);
  }, [shown]);
  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    anchor.current = anchorOf(element);
    const below = element.scrollHeight - element.scrollTop - element.clientHeight;
    follow(below < NEAR_PX);
    if (below < NEAR_PX && shown.hasNewer) void window.current?.newer();
    else if (element.scrollTop < NEAR_PX && below > NEAR_PX && shown.hasOlder) void window.current?.older();
  };
  const jumpToNewest = (): void => {
    follow(true);
    if (shown.hasNewer) void window.current?.jumpToNewest();
    else box.current?.scrollTo({ top: box.current.scrollHeight });
  };
  return { isAtEnd, onScroll, jumpToNewest };
}

/** The first visible entry, and its distance from the upper edge in px. */
interface Anchor {
  readonly id: string;
  readonly offset: number;
}

function anchorOf(box: HTMLElement): Anchor | null {
  const { top } = box.getBoundingClientRect();
  for (const entry of box.querySelectorAll<HTMLElement>("[data-entry]")) {
    const place = entry.getBoundingClientRect();
    if (place.bottom > top) return { id: entry.dataset["entry"] ?? "", offset: place.top - top };
  }
  return null;
}

/** Undoes the shift from entries inserted or removed above. Browsers differ in their own scroll anchoring. */
function restore(box: HTMLElement, anchor: Anchor | null): void {
  const entry = anchor === null ? null : box.querySelector(`[data-entry="${anchor.id}"]`);
  if (anchor !== null && entry !== null)
    box.scrollTop += entry.getBoundingClientRect().top - box.getBoundingClientRect().top - anchor.offset;
}

function EntryView({ entry, isActive }: { readonly entry: Entry; readonly isActive: boolean }): VNode {
  switch (entry.kind) {
    case "message":
      return <MessageView entry={entry} />;
    case "tool":
      return <ToolView entry={entry} isActive={isActive} />;
    case "note":
      return <NoteView entry={entry} />;
  }
}

const SPEAKERS: Record<string, string> = { user: "User", assistant: "Agent" };

function MessageView({ entry: { role, text, at } }: { readonly entry: MessageEntry }): VNode {
  return (
    <article class={role === "assistant" ? "message message-agent" : "message message-user"}>
      <header>
        <strong>{SPEAKERS[role] ?? <bdi>{harmlessText(role)}</bdi>}</strong> <Time at={at} />
      </header>
      <AgentText text={text} />
    </article>
  );
}

/** Renders input and output only while open: a long session has thousands of calls. */
function ToolView({ entry, isActive }: { readonly entry: ToolEntry; readonly isActive: boolean }): VNode {
  const [isOpen, setIsOpen] = useState(false);
  const state = entry.hasFailed ? "failed" : entry.hasEnded ? "done" : isActive ? "running" : "no result";
  return (
    <details
      class={`tool ${entry.hasFailed ? "tool-failed" : ""}`}
      onToggle={(event) => setIsOpen(event.currentTarget.open)}
    >
      <summary>
        <span class="tool-name" dir="auto">
          {harmlessText(entry.name.slice(0, 100))}
        </span>{" "}
        <code class="tool-gist" dir="auto">
          {harmlessText(entry.gist)}
        </code>{" "}
        <span class={`tool-state tool-state-${state.replace(" ", "-")}`}>{state}</span>
        {entry.isNested && <span class="quiet"> by a subagent</span>} <Time at={entry.at} />
      </summary>
      {isOpen && (
        <div class="tool-body">
          <h4>Input</h4>
          {entry.input === null ? <p class="quiet">none</p> : <AgentText text={entry.input} isCode />}
          <h4>{entry.hasFailed ? "Error" : "Result"}</h4>
          {entry.output === null || entry.output === "" ? (
            <p class="quiet">{entry.hasEnded ? "empty" : state}</p>
          ) : (
            <AgentText text={entry.output} isCode />
          )}
        </div>
      )}
    </details>
  );
}

function NoteView({ entry: { title, text, isBad, at } }: { readonly entry: NoteEntry }): VNode {
  return (
    <div class={isBad ? "note note-bad" : "note"}>
      <p>
        <span dir="auto">{harmlessText(title.slice(0, 200))}</span> <Time at={at} />
      </p>
      {text !== null && <AgentText text={text} isCode />}
    </div>
  );
}

function Time({ at }: { readonly at: string | null }): VNode | null {
  const time = clockTime(at);
  return time === null ? null : (
    <time dateTime={at ?? ""} title={at ?? ""}>
      {time}
    </time>
  );
}
