import * as v from "valibot";
import { LOGIN_FRAGMENT, LoginAnswer } from "../protocol/access/login.ts";
import type { Api } from "./api.ts";

/** Takes the code of a login link out of the address, so that neither the history nor a bookmark keeps it. */
export function takeLoginCode(): string | null {
  const fragment = location.hash.replace(/^#/, "");
  if (!fragment.startsWith(LOGIN_FRAGMENT)) return null;
  history.replaceState(null, "", "#/");
  return decodeURIComponent(fragment.slice(LOGIN_FRAGMENT.length));
}

/** Exchanges the code for the token. After a failure the next request asks the person to log in. */
export async function logInWithCode(api: Api, code: string): Promise<void> {
  try {
    api.token = v.parse(LoginAnswer, await api.write("POST", "/login", { code })).token;
  } catch {
    // The tab may have a token from before, which is still good.
  }
}
