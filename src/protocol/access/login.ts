import * as v from "valibot";

/** The body of `POST /login`: the code of a link to the dashboard. */
export const Login = v.object({ code: v.pipe(v.string(), v.minLength(1), v.maxLength(200)) });
export const LoginAnswer = v.object({ token: v.string() });

/** The answer to `POST /login/codes`. */
export const LoginCode = v.looseObject({ code: v.string() });
export const LoginCodeAnswer = v.object({ code: v.string(), expires_in: v.number() });

/** The part of the dashboard's URL after `#` that carries a code. No browser sends it to a server. */
export const LOGIN_FRAGMENT = "login=";
