import { isIP } from "node:net";

/** The answer to a request that `isTrustedHost` refuses. */
export const UNTRUSTED_HOST = "The Host header names neither this machine nor an address";

/** Whether a host name or address, bare or in brackets, means this machine only. */
export function isLoopback(host: string): boolean {
  const name = unbracketed(host.toLowerCase());
  return name === "localhost" || name === "::1" || (isIP(name) === 4 && name.startsWith("127."));
}

/**
 * Whether a `Host` header is one that a direct client sends: an address, a loopback name, or none at all. A web page
 * that rebound its own domain to 127.0.0.1 (DNS rebinding) sends the domain. A server without a token must refuse it.
 */
export function isTrustedHost(host: string | null): boolean {
  if (host === null) return true;
  const url = `http://${host}`;
  if (!URL.canParse(url)) return false;
  const { hostname } = new URL(url);
  return isLoopback(hostname) || isIP(unbracketed(hostname)) !== 0;
}

function unbracketed(host: string): string {
  return host.replace(/^\[(.*)\]$/, "$1");
}
