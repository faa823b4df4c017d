import * as v from "valibot";

/** A failed request. `message` is for the person at the page. `status` is 0 if the coordinator is unreachable. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

/** `detail` is a text, a list of invalid fields, or an object with a message. */
const ErrorBody = v.object({
  detail: v.union([
    v.string(),
    v.array(v.looseObject({ loc: v.array(v.union([v.string(), v.number()])), msg: v.string() })),
    v.looseObject({ message: v.string() }),
  ]),
});

interface RequestOptions {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

const TOKEN_KEY = "agent-runner.token";

/**
 * The coordinator's API. Sends the token in a header, never in a URL, and keeps it for this tab only. There is no
 * cookie that another page could make the browser send.
 */
export class Api {
  /** Called on 401: the coordinator requires a token, or rejects the one in use. */
  onTokenRequired: () => void = () => {};

  get #token(): string | null {
    return sessionStorage.getItem(TOKEN_KEY);
  }

  set token(token: string) {
    sessionStorage.setItem(TOKEN_KEY, token);
  }

  /** Rejects with an ApiError. */
  async read(path: string, signal?: AbortSignal): Promise<unknown> {
    return this.#bodyOf(await this.open(path, signal === undefined ? {} : { signal }));
  }

  async write(method: "POST" | "PATCH" | "DELETE", path: string, body?: unknown): Promise<unknown> {
    const content =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return this.#bodyOf(await this.open(path, { method, ...content }));
  }

  /** Resolves to a successful response with an unread body. Rejects with an ApiError. */
  async open(path: string, init: RequestOptions = {}): Promise<Response> {
    const token = this.#token;
    const headers = { ...init.headers, ...(token === null ? {} : { authorization: `Bearer ${token}` }) };
    const response = await fetch(path, { ...init, headers, cache: "no-store", credentials: "omit" }).catch(
      (error: unknown) => {
        init.signal?.throwIfAborted();
        throw new ApiError(
          0,
          `Cannot reach the coordinator (${error instanceof Error ? error.message : String(error)})`,
        );
      },
    );
    if (response.ok) return response;
    if (response.status === 401) this.onTokenRequired();
    throw new ApiError(response.status, await messageOf(response));
  }

  async #bodyOf(response: Response): Promise<unknown> {
    return response.json().catch(() => {
      throw new ApiError(response.status, "The coordinator's response is incomplete");
    });
  }
}

async function messageOf(response: Response): Promise<string> {
  const parsed = v.safeParse(ErrorBody, await response.json().catch(() => null));
  if (!parsed.success) return `The coordinator returned an error without a message (HTTP ${response.status})`;
  const { detail } = parsed.output;
  if (typeof detail === "string") return detail;
  if (!Array.isArray(detail)) return detail.message;
  return detail.map(({ loc, msg }) => `${loc.filter((part) => part !== "body").join(".")}: ${msg}`).join("; ");
}
