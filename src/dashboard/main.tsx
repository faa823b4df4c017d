import { render } from "preact";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import { Live } from "./live.ts";

const api = new Api();
const live = new Live(api);
const root = document.getElementById("app");
if (root !== null) render(<App services={{ api, live }} />, root);
live.start();
