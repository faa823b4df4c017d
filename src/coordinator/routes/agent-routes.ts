import * as v from "valibot";
import { AgentName, CreateAgent, UpdateAgent, UpdateAgentStatus } from "../../protocol/agent.ts";
import type { Agents } from "../agents/agents.ts";
import { readBody } from "./http.ts";
import { Refusal } from "../store/refusal.ts";
import { namedPage } from "./paging.ts";
import { type Routes, routes } from "./router.ts";

/** Accepts any name: a malformed name is 400, not 422, so the handler checks the name itself. */
const CreateAgentAnyName = v.object({ ...CreateAgent.entries, name: v.string() });

/** Blueprints (`docs/protocol.md`, section 1b). */
export function agentRoutes(agents: Agents): Routes {
  return routes({
    async "GET /agents"({ query }) {
      const tags = (query.get("tags") ?? "").split(",").map((tag) => tag.trim());
      const { rows, next } = namedPage(
        query,
        await agents.list(tags.filter((tag) => tag !== "")),
        (agent) => agent.name,
      );
      // The body is a bare array, as in the first generation. So the cursor of the next page is a header.
      return Response.json(rows, { headers: next === null ? {} : { "x-next-cursor": next } });
    },
    "GET /agents/:name": async ({ params }) => Response.json(await agents.get(params.name)),
    async "POST /agents"({ request, about }) {
      const body = await readBody(request, CreateAgentAnyName);
      const name = v.safeParse(AgentName, body.name);
      if (!name.success) throw new Refusal("malformed", name.issues[0].message);
      about(name.output);
      return Response.json(await agents.create({ ...body, name: name.output }), { status: 201 });
    },
    async "PATCH /agents/:name"({ request, params }) {
      return Response.json(await agents.update(params.name, await readBody(request, UpdateAgent)));
    },
    async "PATCH /agents/:name/status"({ request, params }) {
      const { status } = await readBody(request, UpdateAgentStatus);
      return Response.json(await agents.setStatus(params.name, status));
    },
    async "DELETE /agents/:name"({ params }) {
      await agents.delete(params.name);
      return new Response(null, { status: 204 });
    },
  });
}
