import type { Log } from "../../../log.ts";
import { bearerTokenOf } from "../../../protocol/access/bearer-token.ts";
import { Login } from "../../../protocol/access/login.ts";
import { Refusal } from "../../store/refusal.ts";
import { readBody } from "../http.ts";
import { type Routes, routes } from "../router.ts";
import { CODE_LIFETIME_SECONDS, type LoginCodes } from "./login-codes.ts";

/** The only route besides `/health` that needs no token: the code stands for it. */
export const LOGIN_PATH = "/login";

/** The login of the dashboard by a link that is valid once. The page gets the token that made the link. */
export function loginRoutes(codes: LoginCodes, hasToken: boolean, log: Log): Routes {
  const requireTokens = (): void => {
    if (!hasToken) throw new Refusal("conflict", "This coordinator has no token: no login is needed");
  };
  return routes({
    async "POST /login"({ request, caller }) {
      requireTokens();
      const { code } = await readBody(request, Login);
      const token = codes.redeem(code);
      if (token === null) throw new Refusal("unauthorized", "This link was used before, or is too old");
      log.info("Login to the dashboard by a link", { address: caller.address });
      return Response.json({ token }, { headers: { "cache-control": "no-store" } });
    },
    "POST /login/codes"({ request }) {
      requireTokens();
      const token = bearerTokenOf(request);
      if (token === null) throw new Refusal("unauthorized", "A bearer token is required");
      return Response.json({ code: codes.create(token), expires_in: CODE_LIFETIME_SECONDS });
    },
  });
}
