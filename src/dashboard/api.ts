import * as v from "valibot";

/** A request that was not granted, in words for the reader. `status` is 0 where the coordinator could not be reached. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** Words, a list of fields with their faults, or an object with a message. */
const Refusal = v.object({
  detail: v.union([
    v.string(),
    v.array(v.looseObject({ loc: v.array(v.union([v.string(), v.number()])), msg: v.string() })),
    v.looseObject({ message: v.string() }),
  ]),
});

interface Asked {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const TOKEN_KEY = "agent-runner.token";

/**
 * The coordinator's API as the page uses it. The token goes in a header, never in an address, and is kept for this tab only: there is no
 * cookie that another page could make the browser send.
 */
export class Api {
  /** Called where the coordinator wants a token, or another one. */
  onTokenWanted: () => void = () => {};

  get #token(): string | null {
    return sessionStorage.getItem(TOKEN_KEY);
  }

  set token(token: string) {
    sessionStorage.setItem(TOKEN_KEY, token);
  }

  /** Rejects with an ApiError. */
  async read(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#answerOf(await this.open(path, signal === undefined ? {} : { signal }));
  }

  async write(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    const content =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return this.#answerOf(await this.open(path, { method, ...content }));
  }

  /** The response as it comes, once it is known to be a success. */
  async open(path: string, init: Asked = {}): Promise<Response> {
    const token = this.#token;
    const headers = { ...init.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(path, { ...init, headers, cache: "no-store", credentials: "omit" }).catch(
      (error: unknown) => {
        init.signal?.throwIfAborted();
        throw new ApiError(
          0,
          `the coordinator cannot be reached (${error instanceof Error ? error.message : String(error)})`,
        );
      },
    );
    if (response.ok) return response;
    if (response.status === 401) this.onTokenWanted();
    throw new ApiError(response.status, await wordsOf(response));
  }

  async #answerOf(response: Response): Promise<unknown> {
    return response.json().catch(() => {
      throw new ApiError(response.status, "the coordinator's answer broke off");
    });
  }
}

async function wordsOf(response: Response): Promise<string> {
  const parsed = v.safeParse(Refusal, await response.json().catch(() => null));
  if (!parsed.success) return `the coordinator answered ${response.status}`;
  const { detail } = parsed.output;
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return detail.message;
  return detail.map(({ loc, msg }) => `${loc.filter((part) => part !== "body").join(".")}: ${msg}`).join("; ");
}
