/** The fake coordinator's answer to one request: a complete answer, a part of it, or a dropped connection. */
export type Answer =
  | { readonly kind: "reply"; readonly status: number; readonly body: string; readonly contentType: string }
  | { readonly kind: "cut"; readonly body: string }
  | { readonly kind: "drop" };

/** Replaces the correct answer. Calls `handle` only if the request is to be carried out. */
export type Behaviour = (handle: () => Promise<Answer>) => Promise<Answer>;

export function json(status: number, body: unknown): Answer {
  return { kind: "reply", status, body: status === 204 ? "" : JSON.stringify(body), contentType: "application/json" };
}

/** An error in FastAPI's shape. */
export function detail(status: number, text: unknown): Answer {
  return json(status, { detail: text });
}

/** Loses the request. */
export const dropBefore: Behaviour = () => Promise.resolve({ kind: "drop" });

/** Carries the request out, and loses the answer. */
export const dropAfter: Behaviour = async (handle) => {
  await handle();
  return { kind: "drop" };
};

/** Carries the request out, and breaks the connection in the middle of the answer. */
export const cutShort: Behaviour = async (handle) => {
  const answer = await handle();
  return { kind: "cut", body: answer.kind === "reply" ? answer.body.slice(0, Math.ceil(answer.body.length / 2)) : "" };
};

/** Answers like a proxy without a server behind it. */
export const badGateway: Behaviour = () =>
  Promise.resolve({
    kind: "reply",
    status: 502,
    body: "<html><body>502 Bad Gateway</body></html>",
    contentType: "text/html",
  });

/** Answers 200 with malformed JSON, without carrying the request out. */
export const garbage: Behaviour = () =>
  Promise.resolve({ kind: "reply", status: 200, body: '{"run": <', contentType: "application/json" });

export function refuse(status: number, text: unknown = `refused with ${status}`): Behaviour {
  return () => Promise.resolve(detail(status, text));
}

/** Carries the request out at once, and answers when `until` resolves. */
export function answeredAfter(until: Promise<unknown>): Behaviour {
  return async (handle) => {
    const answer = await handle();
    await until;
    return answer;
  };
}

/** Carries the request out when `until` resolves. */
export function handledAfter(until: Promise<unknown>): Behaviour {
  return async (handle) => {
    await until;
    return handle();
  };
}
