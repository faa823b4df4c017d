import type { ClaimGate } from "../runs/claim-gate.ts";
import type { Store } from "../store/store.ts";
import { type Routes, routes } from "./router.ts";

/** The routes about the coordinator itself. `names` returns all routes of the coordinator. */
export function aboutRoutes(store: Store, gate: ClaimGate, names: () => readonly string[]): Routes {
  return routes({
    async "GET /health"() {
      const fault = await store.probe();
      const { wait } = gate;
      if (fault === null) return Response.json({ status: "healthy", ...(wait === null ? {} : { claims_wait: wait }) });
      return Response.json({ status: "unhealthy", detail: fault }, { status: 503 });
    },
    async "GET /openapi.json"() {
      // Loaded on first use: nothing else needs the conversion to JSON Schema.
      const { openApiDocument } = await import("./openapi.ts");
      return Response.json(openApiDocument(names()));
    },
  });
}
