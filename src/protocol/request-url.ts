/**
 * The URL of a request that a server got. A request without a usable `Host` header (HTTP/1.0, a load balancer's check)
 * has only a path in `request.url`.
 */
export function requestUrl(request: Request): URL {
  if (URL.canParse(request.url)) return new URL(request.url);
  const path = request.url.replace(/^[a-z]+:\/\/[^/]*/i, "");
  return new URL(`http://localhost${path.startsWith("/") ? path : "/"}`);
}
