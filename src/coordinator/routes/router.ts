import type { Call } from "./http.ts";
import { Refusal } from "../store/refusal.ts";

type Handler<Param extends string = string> = (call: Call<Param>) => Response | Promise<Response>;

/** Handlers by route, such as `"GET /runs/:run_id"`. */
export type Routes = Readonly<Record<string, Handler>>;

/** The parameters of a route: `"run_id"` of `"GET /runs/:run_id"`. */
type ParamOf<Route extends string> = Route extends `${string}:${infer Param}/${infer Rest}`
  ? Param | ParamOf<Rest>
  : Route extends `${string}:${infer Param}`
    ? Param
    : never;

/** Gives each handler the parameters of its route as typed fields. */
export function routes<Route extends string>(table: {
  readonly [R in Route]: Handler<ParamOf<R>>;
}): Routes {
  // The router fills exactly the parameters that the route names.
  return table;
}

interface Route {
  readonly name: string;
  readonly method: string;
  readonly segments: readonly string[];
  readonly handler: Handler;
}

const METHOD_NOT_ALLOWED: Handler = () => Response.json({ detail: "Method Not Allowed" }, { status: 405 });

/** Finds the route of a request. 404 for an unknown path, 405 for a known path with another method. */
export class Router {
  /** All routes, such as `"GET /runs/:run_id"`. */
  readonly names: readonly string[];
  readonly #routes: readonly Route[];

  constructor(...tables: readonly Routes[]) {
    this.names = tables.flatMap((table) => Object.keys(table));
    this.#routes = tables.flatMap((table) =>
      Object.entries(table).map(([key, handler]) => {
        const [method = "", path = ""] = key.split(" ");
        return { name: key, method, segments: path.split("/"), handler };
      }),
    );
  }

  /** `name`: of the route; null for 405. */
  find(method: string, path: string): { name: string | null; handler: Handler; params: Record<string, string> } {
    // Ignores a trailing slash.
    const segments = (path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path).split("/");
    const routeMethod = method === "HEAD" ? "GET" : method;
    let pathIsKnown = false;
    for (const route of this.#routes) {
      const params = match(route.segments, segments);
      if (!params) continue;
      if (route.method === routeMethod) return { name: route.name, handler: route.handler, params };
      pathIsKnown = true;
    }
    if (pathIsKnown) return { name: null, handler: METHOD_NOT_ALLOWED, params: {} };
    throw new Refusal("unknown", "Not Found");
  }
}

function match(pattern: readonly string[], segments: readonly string[]): Record<string, string> | undefined {
  if (pattern.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of pattern.entries()) {
    const segment = segments[index] ?? "";
    if (part.startsWith(":")) params[part.slice(1)] = decode(segment);
    else if (part !== segment) return undefined;
  }
  return params;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    throw new Refusal("malformed", "The path is not valid percent-encoding");
  }
}
