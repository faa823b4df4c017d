import { BlockList, isIP } from "node:net";
import type { Environment } from "./environment.ts";

const LOOPBACK = ["127.0.0.1", "localhost", "::1"];

/** NO_PROXY plus the loopback names: fetch would send even those through HTTP_PROXY. */
export function noProxyWithLoopback(env: Environment): string {
  // Merges both spellings, so that neither loses its exceptions.
  const present = [env["NO_PROXY"], env["no_proxy"]].flatMap(entriesOf);
  // "*" means every host, and most programs know it only alone.
  return present.includes("*") ? "*" : [...new Set([...present, ...LOOPBACK])].join(",");
}

/** Makes this process and its children reach loopback addresses without a proxy. fetch reads only the variables. */
export function bypassProxyForLoopback(): void {
  const value = noProxyWithLoopback(process.env);
  process.env["NO_PROXY"] = value;
  process.env["no_proxy"] = value;
}

/** The proxy through which fetch sends a request to `url`, and the variable that names it. Null: directly. */
export function proxyOf(url: string, env: Environment = process.env): { url: string; variable: string } | null {
  const { protocol, hostname, port } = new URL(url);
  const names = [protocol === "https:" ? "https_proxy" : "http_proxy", "all_proxy"];
  const variable = names.flatMap((name) => [name, name.toUpperCase()]).find((candidate) => env[candidate]);
  if (variable === undefined) return null;
  const host = withoutBrackets(hostname);
  const isExcepted = entriesOf(env["no_proxy"] || env["NO_PROXY"]).some((entry) => excepts(entry, host, port));
  return isExcepted ? null : { url: env[variable] ?? "", variable };
}

/** Programs differ in the separator: some know only the comma. */
function entriesOf(list: string | undefined): string[] {
  return (list ?? "").split(/[\s,]+/).filter(Boolean);
}

/** Whether an entry of NO_PROXY stands for the host: a name, a parent domain, an address, a network or `host:port`. */
function excepts(entry: string, host: string, port: string): boolean {
  if (entry === "*") return true;
  const [network = "", bits] = entry.split("/", 2);
  if (bits !== undefined) return isInNetwork(host, network, Number(bits));
  const name = entry.toLowerCase().replace(/^\*?\./, "");
  const named = URL.canParse(`http://${name}`) ? new URL(`http://${name}`) : null;
  if (isIP(name) === 6) return new URL(`http://[${name}]`).hostname === `[${host}]`;
  if (named === null || (named.port !== "" && named.port !== port)) return false;
  return `.${host}`.endsWith(`.${withoutBrackets(named.hostname)}`);
}

function isInNetwork(host: string, network: string, bits: number): boolean {
  const family = isIP(host);
  if (family === 0 || family !== isIP(network)) return false;
  const [type, most] = family === 4 ? (["ipv4", 32] as const) : (["ipv6", 128] as const);
  if (!Number.isInteger(bits) || bits < 0 || bits > most) return false;
  const list = new BlockList();
  list.addSubnet(network, bits, type);
  return list.check(host, type);
}

function withoutBrackets(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, "$1");
}
