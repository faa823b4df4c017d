#!/usr/bin/env bun
// An executor in TypeScript without packages: reads the invocation, binds the session, sends its messages and finishes
// the session. agent-runner contains the runtime, so this file needs no installed Bun.
import { hostname } from "node:os";

interface Invocation {
  schema_version: string;
  mode: "start" | "resume";
  session_id: string;
  prompt?: string;
  parameters?: { prompt?: string };
}

const apiUrl = new URL(process.env["AGENT_ORCHESTRATOR_API_URL"] ?? "http://localhost:8765");
// The API is the runner on this machine, so bypass any proxy.
process.env["NO_PROXY"] = process.env["no_proxy"] = [process.env["NO_PROXY"], apiUrl.hostname]
  .filter(Boolean)
  .join(",");

const invocation = (await Bun.stdin.json()) as Invocation;
if (!["2.0", "2.2"].includes(invocation.schema_version))
  throw new Error(`unsupported schema version ${invocation.schema_version}`);
const prompt = invocation.prompt ?? invocation.parameters?.prompt ?? "";
const sessionUrl = `${apiUrl.href.replace(/\/+$/, "")}/sessions/${encodeURIComponent(invocation.session_id)}`;

/** POSTs JSON. An uncaught error fails the run, with the error's text as the reason. */
async function post(url: string, body: object): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
}

async function send(event: { event_type: string; [field: string]: unknown }): Promise<void> {
  await post(`${sessionUrl}/events`, {
    ...event,
    session_id: invocation.session_id,
    timestamp: new Date().toISOString(),
  });
}

async function say(role: "user" | "assistant", text: string): Promise<void> {
  await send({ event_type: "message", role, content: [{ type: "text", text }] });
}

await post(`${sessionUrl}/bind`, {
  // A real executor sends the id with which it finds its own conversation on resume.
  executor_session_id: `typescript-${invocation.session_id}`,
  hostname: hostname(),
  executor_type: "typescript",
  executor_profile: "typescript",
  project_dir: process.cwd(),
});
if (invocation.mode === "resume") await send({ event_type: "session_start" });
await say("user", prompt);
const answer = prompt.toUpperCase(); // the work
await say("assistant", answer);
await send({ event_type: "result", result_text: answer });
console.log(answer);
// Must be the last event, and only on success: it finishes the session.
await send({ event_type: "session_stop", exit_code: 0, reason: "completed" });
