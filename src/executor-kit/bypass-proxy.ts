/**
 * Makes `fetch` bypass HTTP_PROXY for the host of `url`. Bun has no option for a single request, and reads the
 * environment at every request. `env` is the caller's `process.env`; children need and inherit the exception too.
 */
export function bypassProxy(env: Record<string, string | undefined>, url: string): void {
  const { hostname } = new URL(url);
  // Sets both spellings: if both are set, Bun reads only the lower-case one.
  for (const name of ["NO_PROXY", "no_proxy"]) {
    const known = (env[name] ?? "")
      .split(",")
      .map((host) => host.trim())
      .filter((host) => host !== "");
    // "*" means every host, and most programs know it only alone.
    if (!known.includes("*") && !known.includes(hostname)) env[name] = [...known, hostname].join(",");
  }
}
