import { Login } from "../../../protocol/login.ts";
import { Refusal } from "../../store/refusal.ts";
import { readBody } from "../http.ts";
import { CODE_LIFETIME_SECONDS, type LoginCodes } from "./login-codes.ts";
import { type Routes, routes } from "../router.ts";

/** The only route besides `/health` that needs no token: the code stands for it. */
export const LOGIN_PATH = "/login";

/** The login of the dashboard by a link that is valid once. */
export function loginRoutes(codes: LoginCodes, token: string | undefined): Routes {
  const requiredToken = (): string => {
    if (token === undefined) throw new Refusal("conflict", "This coordinator has no token: no login is needed");
    return token;
  };
  return routes({
    async "POST /login"({ request }) {
      const required = requiredToken();
      const { code } = await readBody(request, Login);
      if (!codes.redeem(code)) throw new Refusal("unauthorized", "This link was used before, or is too old");
      return Response.json({ token: required }, { headers: { "cache-control": "no-store" } });
    },
    "POST /login/codes"() {
      requiredToken();
      return Response.json({ code: codes.create(), expires_in: CODE_LIFETIME_SECONDS });
    },
  });
}
