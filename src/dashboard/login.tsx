import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Api, ApiError } from "./api.ts";
import { messageFor } from "./query.ts";

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
        error instanceof ApiError && error.status === 401 ? "The coordinator rejected this token." : messageFor(error),
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
        <p>
          This coordinator requires a token. On its machine, <code>agent-runner token --link</code> prints a link that
          logs in, and <code>agent-runner token</code> prints the token. Links work once, for ten minutes.
        </p>
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
          Log in
        </button>
        <p class="quiet">The token stays in this tab until you close it, and is sent only to this coordinator.</p>
      </form>
    </main>
  );
}
