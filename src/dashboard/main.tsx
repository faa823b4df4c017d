import { render } from "preact";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import { Live } from "./live.ts";
import { logInWithCode, takeLoginCode } from "./login-link.ts";
import { LOGIN_FRAGMENT } from "../protocol/access/login.ts";

const api = new Api();
const live = new Live(api);
const root = document.getElementById("app");

await logInByLink();
if (root !== null) render(<App services={{ api, live }} />, root);
live.start();
// A link that the person opens in this tab changes the fragment only.
addEventListener("hashchange", () => {
  if (location.hash.includes(LOGIN_FRAGMENT)) location.reload();
});

async function logInByLink(): Promise<void> {
  const code = takeLoginCode();
  if (code !== null) await logInWithCode(api, code);
}
