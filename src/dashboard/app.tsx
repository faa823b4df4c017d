import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { CallerAnswer } from "../protocol/access/tokens.ts";
import { StartRun } from "./actions/start-run.tsx";
import { CallerContext, refusalFor } from "./caller.ts";
import { CoordinatorState } from "./coordinator-state.tsx";
import { HomePage } from "./home/home-page.tsx";
import { Login } from "./login.tsx";
import { Outage } from "./outage.tsx";
import { type Services, useQuery } from "./query.ts";
import { linkTo, type Route, useRoute } from "./route.ts";
import { RunnersPage } from "./runners/runners-page.tsx";
import { SessionPage } from "./session/session-page.tsx";
import { SessionsPage } from "./sessions/sessions-page.tsx";
import { StatisticsPage } from "./statistics/statistics-page.tsx";

const VIEWS: readonly { readonly view: "home" | "sessions" | "runners" | "statistics"; readonly name: string }[] = [
  { view: "home", name: "Overview" },
  { view: "sessions", name: "Sessions" },
  { view: "runners", name: "Runners" },
  { view: "statistics", name: "Statistics" },
];

const READ_ONCE = { isAffectedBy: (): boolean => false };

/** The page: navigation, the state of the connection, and the current view. */
export function App({ services }: { readonly services: Services }): VNode {
  const route = useRoute();
  const [needsToken, setNeedsToken] = useState(false);
  const [isStarting, setIsStarting] = useState(false);
  const main = useViewFocus(route);
  const { value: caller } = useQuery(services, "/caller", CallerAnswer, READ_ONCE);
  const refusal = refusalFor(caller, ["submit"]);
  useEffect(() => {
    services.api.onTokenRequired = () => setNeedsToken(true);
  }, [services]);
  if (needsToken) {
    const onToken = (): void => {
      setNeedsToken(false);
      services.live.start();
    };
    return <Login api={services.api} onToken={onToken} />;
  }
  return (
    <CallerContext.Provider value={caller}>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        Skip to content
      </a>
      <header class="frame-head">
        <a class="brand" href={linkTo({ view: "home" })}>
          <span class="brand-mark" aria-hidden="true" /> agent-runner
        </a>
        <nav aria-label="Views">
          {VIEWS.map(({ view, name }) => (
            <a key={view} href={linkTo({ view })} aria-current={isAt(route, view) ? "page" : undefined}>
              {name}
            </a>
          ))}
        </nav>
        <button
          type="button"
          class="primary"
          disabled={refusal !== null}
          title={refusal ?? undefined}
          onClick={() => setIsStarting(true)}
        >
          Start a run
        </button>
      </header>
      {refusal !== null && <p class="role-note quiet">{refusal}.</p>}
      <Outage live={services.live} />
      <CoordinatorState services={services} />
      <main id="main" ref={main} tabIndex={-1}>
        <View services={services} route={route} onStart={() => setIsStarting(true)} />
      </main>
      {isStarting && <StartRun services={services} onClose={() => setIsStarting(false)} />}
    </CallerContext.Provider>
  );
}

function View({
  services,
  route,
  onStart,
}: {
  readonly services: Services;
  readonly route: Route;
  readonly onStart: () => void;
}): VNode {
  switch (route.view) {
    case "home":
      return <HomePage services={services} onStart={onStart} />;
    case "sessions":
      return <SessionsPage services={services} />;
    case "session":
      return <SessionPage key={route.sessionId} services={services} sessionId={route.sessionId} />;
    case "runners":
      return <RunnersPage services={services} />;
    case "statistics":
      return <StatisticsPage services={services} />;
  }
}

function isAt(route: Route, view: string): boolean {
  return route.view === view || (route.view === "session" && view === "sessions");
}

/** After navigation, focuses the view, for keyboard users and screen readers, and updates the document's title. */
function useViewFocus(route: Route): { readonly current: HTMLElement | null } {
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const place = route.view === "session" ? route.sessionId : route.view;
  useEffect(() => {
    const name = VIEWS.find(({ view }) => view === route.view)?.name ?? place;
    document.title = `${name} · agent-runner`;
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    if (!isFirst.current) scrollTo(0, 0);
    isFirst.current = false;
  }, [place]);
  return main;
}
