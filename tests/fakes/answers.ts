/** What the fake coordinator does with one request: answers it, in whole or in part, or drops the connection. */
export type Answer =
  | { readonly kind: "reply"; readonly status: number; readonly body: string; readonly contentType: string }
  | { readonly kind: "cut"; readonly body: string }
  | { readonly kind: "drop" };

/** A deviation from the right answer. It decides whether the request is handled at all. */
export type Behaviour = (handle: () => Promise<Answer>) => Promise<Answer>;

export function json(status: number, body: unknown): Answer {
  return { kind: "reply", status, body: status === 204 ? "" : JSON.stringify(body), contentType: "application/json" };
}

/** FastAPI's form of an error. */
export function detail(status: number, text: unknown): Answer {
  return json(status, { detail: text });
}

/** The request is lost on its way. */
export const dropBefore: Behaviour = () => Promise.resolve({ kind: "drop" });

/** The request is carried out and its answer lost. */
export const dropAfter: Behaviour = async (handle) => {
  await handle();
  return { kind: "drop" };
};

/** The request is carried out; the connection is cut in the middle of the answer. */
export const cutShort: Behaviour = async (handle) => {
  const answer = await handle();
  return { kind: "cut", body: answer.kind === "reply" ? answer.body.slice(0, Math.ceil(answer.body.length / 2)) : "" };
};

/** What a proxy says when nothing is behind it. */
export const badGateway: Behaviour = () =>
  Promise.resolve({
    kind: "reply",
    status: 502,
    body: "<html><body>502 Bad Gateway</body></html>",
    contentType: "text/html",
  });

/** 200 with something that is not JSON, without carrying the request out. */
export const garbage: Behaviour = () =>
  Promise.resolve({ kind: "reply", status: 200, body: '{"run": <', contentType: "application/json" });

export function refuse(status: number, text: unknown = `refused with ${status}`): Behaviour {
  return () => Promise.resolve(detail(status, text));
}

/** Carried out, and answered when `until` resolves. */
export function answeredAfter(until: Promise<unknown>): Behaviour {
  return async (handle) => {
    const answer = await handle();
    await until;
    return answer;
  };
}

/** Carried out only when `until` has resolved. */
export function handledAfter(until: Promise<unknown>): Behaviour {
  return async (handle) => {
    await until;
    return handle();
  };
}
