import { type Routes, routes } from "./router.ts";

/** The routes about the coordinator itself. `names` returns all routes of the coordinator. */
export function aboutRoutes(names: () => readonly string[]): Routes {
  return routes({
    "GET /health": () => Response.json({ status: "healthy" }),
    async "GET /openapi.json"() {
      // Loaded on first use: nothing else needs the conversion to JSON Schema.
      const { openApiDocument } = await import("./openapi.ts");
      return Response.json(openApiDocument(names()));
    },
  });
}
