import type { VNode } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { TreesAnswer } from "../../protocol/answers.ts";
import { Choice } from "../parts/choice.tsx";
import { counted } from "../parts/figures.ts";
import { TreeLine } from "../parts/tree-line.tsx";
import { type Services, useNow, useQuery } from "../query.ts";
import { PAGE_ROWS, pagesInView, ROW_PX } from "./window.ts";

const STATUSES = [
  { label: "All", value: "" },
  { label: "Active", value: "pending,running,stopping" },
  { label: "Idle", value: "idle" },
  { label: "Finished", value: "finished" },
  { label: "Failed", value: "failed" },
  { label: "Stopped", value: "stopped" },
] as const;

/** All root sessions, newest first. Reads and draws only the pages of the list that are in view. */
export function SessionsPage({ services }: { readonly services: Services }): VNode {
  const [status, setStatus] = useState<(typeof STATUSES)[number]["value"]>("");
  const [agent, setAgent] = useState("");
  const byStatus = status === "" ? "" : `&status=${status}`;
  const byAgent = agent.trim() === "" ? "" : `&agent=${encodeURIComponent(agent.trim())}`;
  const filter = byStatus + byAgent;
  return (
    <>
      <div class="page-head">
        <h1>Sessions</h1>
        <Choice legend="Status" name="status" options={STATUSES} chosen={status} onChoose={setStatus} />
        <label class="inline">
          Agent <input name="agent" value={agent} onInput={(event) => setAgent(event.currentTarget.value)} />
        </label>
      </div>
      <Pages key={filter} services={services} filter={filter} />
    </>
  );
}

/** The pages of the list. A page's cursor is known only after the page before it was read. */
function Pages({ services, filter }: { readonly services: Services; readonly filter: string }): VNode {
  const nowMs = useNow(5_000);
  const list = useRef<HTMLDivElement>(null);
  const { firstPage, lastPage } = usePagesInView(list);
  // The start cursor of each page, as far as known.
  const [cursors, setCursors] = useState<readonly (string | null)[]>([null]);
  const [rows, setRows] = useState<readonly number[]>([]);
  const onRead = useCallback((page: number, count: number, next: string | null) => {
    setRows((known) =>
      known[page] === count ? known : [...known.slice(0, page), count, ...(next === null ? [] : known.slice(page + 1))],
    );
    setCursors((known) =>
      known[page + 1] === next || (next === null && known.length === page + 1)
        ? known
        : [...known.slice(0, page + 1), ...(next === null ? [] : [next])],
    );
  }, []);
  const above = rows.slice(0, firstPage).reduce((sum, count) => sum + count, 0) * ROW_PX;
  const shown = cursors.slice(firstPage, lastPage + 1);
  const total =
    Math.max(
      0,
      rows.reduce((sum, count) => sum + count, 0),
    ) * ROW_PX;
  const known = rows.length > 0;
  return (
    <div ref={list} class="rows" role="list" aria-label="Sessions" style={{ minHeight: `${total}px` }}>
      <div style={{ height: `${above}px` }} />
      {shown.map((cursor, i) => (
        <Page
          key={firstPage + i}
          services={services}
          page={firstPage + i}
          path={`/trees?limit=${PAGE_ROWS}${filter}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`}
          nowMs={nowMs}
          onRead={onRead}
        />
      ))}
      {known && total === 0 && <p class="quiet">No matching sessions.</p>}
    </div>
  );
}

interface PageProps {
  readonly services: Services;
  readonly page: number;
  readonly path: string;
  readonly nowMs: number;
  readonly onRead: (page: number, count: number, next: string | null) => void;
}

function Page({ services, page, path, nowMs, onRead }: PageProps): VNode {
  const { value, fault } = useQuery(services, path, TreesAnswer);
  useEffect(() => {
    if (value !== null) onRead(page, value.trees.length, value.next_cursor);
  }, [value, page, onRead]);
  if (value === null)
    return <p class="quiet">{fault === null ? "Loading…" : `Failed to load the sessions: ${fault}`}</p>;
  return (
    <>
      {value.trees.map((tree) => (
        <div key={tree.session_id} role="listitem" class="row" data-session={tree.session_id}>
          <TreeLine
            session={tree}
            nowMs={nowMs}
            {...(tree.roll_up.sessions > 1 ? { note: counted(tree.roll_up.sessions - 1, "descendant") } : {})}
          />
        </div>
      ))}
    </>
  );
}

function usePagesInView(list: { readonly current: HTMLElement | null }): { firstPage: number; lastPage: number } {
  const [inView, setInView] = useState({ firstPage: 0, lastPage: 0 });
  useEffect(() => {
    let frame = 0;
    const update = (): void => {
      frame = 0;
      const next = pagesInView(-(list.current?.getBoundingClientRect().top ?? 0), innerHeight);
      setInView((last) => (last.firstPage === next.firstPage && last.lastPage === next.lastPage ? last : next));
    };
    const onMove = (): void => void (frame ||= requestAnimationFrame(update));
    update();
    addEventListener("scroll", onMove, { passive: true });
    addEventListener("resize", onMove);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", onMove);
      removeEventListener("resize", onMove);
    };
  }, [list]);
  return inView;
}
