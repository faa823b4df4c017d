import { CreateToken } from "../../../protocol/access/tokens.ts";
import type { Log } from "../../../log.ts";
import { nextCursor } from "../../store/lists.ts";
import { Refusal } from "../../store/refusal.ts";
import { readBody } from "../http.ts";
import { pageOf } from "../paging.ts";
import { type Routes, routes } from "../router.ts";
import type { Audit } from "./audit.ts";
import type { Tokens } from "./tokens.ts";

const DEFAULT_PAGE = { limit: 100, order: "desc", after: null } as const;

/** The tokens with a role, and the list of changes. */
export function tokenRoutes(tokens: Tokens, audit: Audit, hasToken: boolean, log: Log): Routes {
  return routes({
    "GET /caller": ({ caller: { name, role } }) => Response.json({ name, role }),
    "GET /tokens": async () => Response.json({ tokens: await tokens.all() }),
    async "POST /tokens"({ request, caller, about }) {
      const body = await readBody(request, CreateToken);
      if (!hasToken)
        throw new Refusal("conflict", "This coordinator runs with --no-token: everybody may do everything without one");
      const created = await tokens.create(body, caller.name);
      about(created.name);
      log.info(`Token ${created.name} created with the role ${created.role}`);
      return Response.json(created, { headers: { "cache-control": "no-store" } });
    },
    async "DELETE /tokens/:name"({ params: { name } }) {
      await tokens.revoke(name);
      log.info(`Token ${name} revoked`);
      return Response.json({ ok: true, name });
    },
    async "GET /audit"({ query }) {
      const page = pageOf(query) ?? DEFAULT_PAGE;
      const entries = await audit.newest(page.limit, page.after);
      return Response.json({ audit: entries, next_cursor: nextCursor(entries, page) });
    },
  });
}
