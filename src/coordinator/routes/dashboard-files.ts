import { basename, extname } from "node:path";
import page from "../../dashboard/page.html";

/** One file of the dashboard. */
export interface PageFile {
  readonly body: Blob;
  readonly headers: Readonly<Record<string, string>>;
}

/** An HTML import. The compiled binary has `files`; from source there is only the page's path. */
interface HtmlImport {
  readonly index: string;
  readonly files?: readonly {
    readonly path: string;
    readonly headers: { readonly etag: string; readonly "content-type": string };
  }[];
}

/**
 * Allows the page's own files only, and no script or style made from text: what agents write must not become part of
 * the page.
 */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const SECURITY_HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

let built: Promise<ReadonlyMap<string, PageFile>> | undefined;

/** The dashboard's files by request path: `/` and `/chunk-….js`. */
export function pageFiles(): Promise<ReadonlyMap<string, PageFile>> {
  return (built ??= readFiles(page));
}

async function readFiles({ index, files }: HtmlImport): Promise<ReadonlyMap<string, PageFile>> {
  if (files === undefined) return buildFiles(index);
  const entries = files.map(({ path, headers }): [string, PageFile] => [
    pathOf(path),
    { body: Bun.file(path), headers: headersOf(path, headers) },
  ]);
  return new Map(entries);
}

/** From source: builds the files on the first request. */
async function buildFiles(index: string): Promise<ReadonlyMap<string, PageFile>> {
  const { outputs } = await Bun.build({
    entrypoints: [index],
    minify: true,
    publicPath: "/",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const entries = outputs.map((output): [string, PageFile] => {
    const headers = { etag: output.hash ?? "", "content-type": output.type };
    return [pathOf(output.path), { body: output, headers: headersOf(output.path, headers) }];
  });
  return new Map(entries);
}

function pathOf(file: string): string {
  return extname(file) === ".html" ? "/" : `/${basename(file)}`;
}

/** File names carry a hash of the content, so every file but the page itself is cached for ever. */
function headersOf(
  file: string,
  { etag, "content-type": type }: { etag: string; "content-type": string },
): Record<string, string> {
  const caching = extname(file) === ".html" ? "no-cache" : "public, max-age=31536000, immutable";
  return { ...SECURITY_HEADERS, "content-type": type, etag: `"${etag}"`, "cache-control": caching };
}
