import { useEffect, useState } from "preact/hooks";

/** The view, from the part of the URL after `#`. Every view has a URL, and the coordinator needs no route for it. */
export type Route =
  | { readonly view: "home" }
  | { readonly view: "sessions" }
  | { readonly view: "session"; readonly sessionId: string }
  | { readonly view: "runners" }
  | { readonly view: "statistics" };

export function routeOf(hash: string): Route {
  const [view = "", ...rest] = hash.replace(/^#?\/?/, "").split("/");
  if (view === "session" && rest.length > 0) return { view, sessionId: decoded(rest.join("/")) };
  if (view === "sessions" || view === "runners" || view === "statistics") return { view };
  return { view: "home" };
}

export function linkTo(route: Route): string {
  if (route.view === "session") return `#/session/${encodeURIComponent(route.sessionId)}`;
  return route.view === "home" ? "#/" : `#/${route.view}`;
}

export function useRoute(): Route {
  const [hash, setHash] = useState(location.hash);
  useEffect(() => {
    const read = (): void => setHash(location.hash);
    addEventListener("hashchange", read);
    return () => removeEventListener("hashchange", read);
  }, []);
  return routeOf(hash);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
