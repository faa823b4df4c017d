/**
 * Makes `fetch` go straight to the host of `url`, whatever HTTP_PROXY says: Bun has no option for it on a request, and asks
 * the environment at every request. `env` is the caller's own `process.env`; children inherit the exception, which they need too.
 */
export function bypassProxy(env: Record<string, string | undefined>, url: string): void {
  const { hostname } = new URL(url);
  // Both spellings: where both are set, only the lower-case one is read.
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const known = (env[name] ?? "")
      .split(",")
      .map((host) => host.trim())
      .filter((host) => host !== "");
    if (!known.includes(hostname)) env[name] = [...known, hostname].join(",");
  }
}
