import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Api, ApiError } from "./api.ts";
import { wordsFor } from "./query.ts";

/** Asks for the coordinator's token. */
export function Login({ api, onToken }: { readonly api: Api; readonly onToken: () => void }): VNode {
  const [token, setToken] = useState("");
  const [fault, setFault] = useState<string | null>(null);
  const submit = async (): Promise<void> => {
    api.token = token.trim();
    try {
      await api.read("/stats");
      onToken();
    } catch (error) {
      setFault(
        error instanceof ApiError && error.status === 401
          ? "The coordinator does not accept this token."
          : wordsFor(error),
      );
    }
  };
  return (
    <main class="login">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        <h1>
          <span class="brand-mark" aria-hidden="true" /> agent-runner
        </h1>
        <p>This coordinator asks for its token: what was given to it as AGENT_COORDINATOR_TOKEN.</p>
        <label>
          Token
          <input
            type="password"
            name="token"
            autocomplete="off"
            required
            value={token}
            onInput={(event) => setToken(event.currentTarget.value)}
          />
        </label>
        {fault !== null && (
          <p role="alert" class="fault">
            {fault}
          </p>
        )}
        <button type="submit" class="primary">
          Open
        </button>
        <p class="quiet">It is kept until this tab is closed, and sent to this coordinator only.</p>
      </form>
    </main>
  );
}
