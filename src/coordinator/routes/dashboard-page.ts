/** `/` and the files that it names: `/chunk-1a2b3c.js`. No path of the API looks like them. */
const PAGE_PATH = /^\/(?:[\w-]+\.(?:js|css|svg))?$/;

/** Whether a path is the dashboard's. Its files are the same for everyone and hold no secret; what they show they ask for as everyone does. */
export function isOfPage(method: string, pathname: string): boolean {
  return (method === "GET" || method === "HEAD") && PAGE_PATH.test(pathname);
}

/** A file of the dashboard; null where it has none of that name. What makes them is loaded when it is first asked for. */
export async function answerPage(request: Request, pathname: string): Promise<Response | null> {
  const { pageFiles } = await import("./dashboard-files.ts");
  const file = (await pageFiles()).get(pathname);
  if (file === undefined) return null;
  if (request.headers.get("if-none-match") === file.headers["etag"])
    return new Response(null, { status: 304, headers: file.headers });
  return new Response(file.body, { headers: file.headers });
}
