import * as v from "valibot";
import { errorCode } from "../../src/errors.ts";
import type { Launch } from "./launch.ts";
import { Lines } from "./lines.ts";
import { permissionFor } from "./permissions.ts";
import type { UserMessage } from "./user-message.ts";

/*
 * Claude Code's stream-json protocol: one JSON object per line, on stdin and stdout. Besides messages, either side
 * sends control requests. Each control request has an id and gets one control response with that id.
 */

export interface ClaudeListener {
  /** Called with each message, in order. Must not throw. */
  onMessage(message: object): void;
  /** Called with each line that is no message. */
  onUnreadable(line: string): void;
  onStderr(text: string): void;
}

const Line = v.pipe(v.string(), v.parseJson(), v.looseObject({ type: v.string() }));
const ControlRequest = v.looseObject({ request_id: v.string(), request: v.looseObject({ subtype: v.string() }) });
const ControlResponse = v.looseObject({
  response: v.variant("subtype", [
    v.looseObject({ subtype: v.literal("success"), request_id: v.string(), response: v.nullish(v.unknown()) }),
    v.looseObject({ subtype: v.literal("error"), request_id: v.string(), error: v.nullish(v.string(), "no reason") }),
  ]),
});

/** After the end of its input, Claude Code has this time until SIGTERM, and then this time until SIGKILL. */
const TERMINATE_MS = 1_000;
const KILL_MS = 2_200;
/** From the exit: a process that Claude Code left behind may hold its stdout open for ever. */
const QUIET_MS = 500;
const ANSWER_MS = 60_000;

type Child = Bun.Subprocess<"pipe", "pipe", "pipe">;

/** Claude Code ended before it answered. */
export class EndedError extends Error {
  override readonly name = "EndedError";
}

/** A running Claude Code. */
export class ClaudeProcess implements Disposable {
  readonly #child: Child;
  readonly #launch: Launch;
  readonly #pending = new Map<string, PromiseWithResolvers<unknown>>();
  #requests = 0;
  #isInputOpen = true;
  #isDisposed = false;
  #killTimers: Timer[] = [];

  /** Throws an Error if the program cannot be started. */
  constructor(launch: Launch) {
    this.#launch = launch;
    this.#child = spawn(launch);
  }

  /**
   * Reads the output to its end; call once. Resolves after the end of the process and its last message: to null after
   * exit code 0, else to the reason.
   */
  async follow(listener: ClaudeListener): Promise<Error | null> {
    const child = this.#child;
    const lines = new Lines((line) => this.#receive(line, listener));
    const decoder = new TextDecoder();
    try {
      await Promise.all([
        drain(child.stdout, child.exited, (chunk) => lines.add(chunk)).then(() => lines.end()),
        drain(child.stderr, child.exited, (chunk) => listener.onStderr(decoder.decode(chunk, { stream: true }))),
      ]);
      const exitCode = await child.exited;
      if (child.signalCode !== null) return new Error(`Claude Code was ended by ${child.signalCode}`);
      return exitCode === 0 ? null : new Error(`Claude Code exited with code ${exitCode}`);
    } finally {
      this.#isInputOpen = false;
      this.#clearTimers();
      for (const { reject } of this.#pending.values()) reject(new EndedError());
    }
  }

  /**
   * Sends a control request and resolves to the answer. Rejects if Claude Code refuses the request or does not answer
   * within `timeoutMs`, and with an {@link EndedError} if it ends.
   */
  async request(subtype: string, fields: object = {}, timeoutMs = ANSWER_MS): Promise<unknown> {
    const id = `agent-runner-${++this.#requests}`;
    const answer = Promise.withResolvers<unknown>();
    const timer = setTimeout(
      () => answer.reject(new Error(`it did not answer ${subtype} within ${timeoutMs / 1000} s`)),
      timeoutMs,
    );
    this.#pending.set(id, answer);
    this.#write({ type: "control_request", request_id: id, request: { subtype, ...fields } });
    try {
      return await answer.promise;
    } finally {
      clearTimeout(timer);
      this.#pending.delete(id);
    }
  }

  send(message: UserMessage): void {
    this.#write(message);
  }

  /** Claude Code ends by itself after the end of its input. */
  endInput(): void {
    if (!this.#isInputOpen) return;
    this.#isInputOpen = false;
    // Fails if Claude Code has ended already.
    void settle(() => this.#child.stdin.end());
  }

  /** Ends Claude Code: asks first, and then kills it. */
  close(): void {
    this.endInput();
    if (this.#killTimers.length > 0 || this.#hasExited) return;
    this.#killTimers = [
      setTimeout(() => this.#child.kill("SIGTERM"), TERMINATE_MS),
      setTimeout(() => this.#child.kill("SIGKILL"), KILL_MS),
    ];
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    this.endInput();
    this.#clearTimers();
    if (!this.#hasExited) this.#child.kill("SIGKILL");
    this.#child.unref();
  }

  get #hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #receive(line: string, listener: ClaudeListener): void {
    if (this.#isDisposed) return;
    const parsed = v.safeParse(Line, line);
    if (!parsed.success) return listener.onUnreadable(line);
    switch (parsed.output.type) {
      case "control_request":
        return this.#answer(parsed.output, listener);
      case "control_response":
        return this.#settle(parsed.output, listener);
      default:
        return listener.onMessage(parsed.output);
    }
  }

  /** Answers a request of any kind: Claude Code would wait for ever for an answer that never comes. */
  #answer(message: object, listener: ClaudeListener): void {
    const parsed = v.safeParse(ControlRequest, message);
    if (!parsed.success) return listener.onMessage(message);
    const { request_id, request } = parsed.output;
    const answer = answerTo(request, this.#launch);
    this.#write({ type: "control_response", response: { request_id, ...answer } });
  }

  #settle(message: object, listener: ClaudeListener): void {
    const parsed = v.safeParse(ControlResponse, message);
    if (!parsed.success) return listener.onMessage(message);
    const { response } = parsed.output;
    const answer = this.#pending.get(response.request_id);
    if (response.subtype === "success") answer?.resolve(response.response);
    else answer?.reject(new Error(`it refuses a control request: ${response.error}`));
  }

  #write(message: object): void {
    if (!this.#isInputOpen) return;
    // Fails if Claude Code has ended: its exit tells more.
    void settle(() => this.#child.stdin.write(`${JSON.stringify(message)}\n`));
    void settle(() => this.#child.stdin.flush());
  }

  #clearTimers(): void {
    for (const timer of this.#killTimers) clearTimeout(timer);
    this.#killTimers = [];
  }
}

function spawn({ command, projectDir, env }: Launch): Child {
  try {
    return Bun.spawn([...command], { cwd: projectDir, env: { ...env }, stdin: "pipe", stdout: "pipe", stderr: "pipe" });
  } catch (error) {
    throw new Error(`cannot start ${command[0]}: ${errorCode(error) ?? String(error)}`, { cause: error });
  }
}

function answerTo(request: { readonly subtype: string }, { allowance }: Launch): object {
  switch (request.subtype) {
    case "can_use_tool":
      return { subtype: "success", response: permissionFor(request, allowance) };
    // A question of an MCP server to a person.
    case "elicitation":
      return { subtype: "success", response: { action: "decline" } };
    default:
      return { subtype: "error", error: `agent-runner does not support the control request ${request.subtype}` };
  }
}

/** Reads a stream to its end. Gives up once the process has exited and the stream is quiet. */
async function drain(
  stream: ReadableStream<Uint8Array>,
  exited: Promise<unknown>,
  take: (chunk: Uint8Array) => void,
): Promise<void> {
  const reader = stream.getReader();
  let state: "running" | "exited" | "drained" = "running";
  let timer: Timer | undefined;
  const wait = (): void => {
    clearTimeout(timer);
    if (state === "exited") timer = setTimeout(() => void settle(() => reader.cancel()), QUIET_MS);
  };
  void exited.then(() => {
    if (state === "running") state = "exited";
    wait();
  });
  for (;;) {
    const { done, value } = await reader.read();
    if (done) state = "drained";
    wait();
    if (done) return;
    take(value);
  }
}

/** Runs an action that may fail at once or later, without consequences. */
async function settle(action: () => unknown): Promise<void> {
  try {
    await action();
  } catch {}
}
