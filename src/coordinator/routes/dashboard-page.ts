/** `/` and the page's files, such as `/chunk-1a2b3c.js`. No API path matches. */
const PAGE_PATH = /^\/(?:[\w-]+\.(?:js|css|svg))?$/;

/**
 * Whether a request is for a file of the dashboard. The files are open to everybody: they hold no secret, and the page
 * reads its data through the API with a token, like every client.
 */
export function isPageRequest(method: string, pathname: string): boolean {
  return (method === "GET" || method === "HEAD") && PAGE_PATH.test(pathname);
}

/** Answers with a file of the dashboard, or null for an unknown path. Loads the dashboard on first use. */
export async function answerPage(request: Request, pathname: string): Promise<Response | null> {
  const { pageFiles } = await import("./dashboard-files.ts");
  const file = (await pageFiles()).get(pathname);
  if (file === undefined) return null;
  if (request.headers.get("if-none-match") === file.headers["etag"])
    return new Response(null, { status: 304, headers: file.headers });
  return new Response(file.body, { headers: file.headers });
}
