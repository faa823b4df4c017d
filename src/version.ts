import packageJson from "../package.json" with { type: "json" };

// Defined by build.ts; undefined in development.
declare const BUILD_VERSION: string | undefined;
declare const BUILD_COMMIT: string | undefined;

/** The version in package.json. */
export const version: string = typeof BUILD_VERSION === "string" ? BUILD_VERSION : packageJson.version;

/** Twelve hex digits, plus `-dirty` if the tree had changes. `unknown` without git, `development` if not built. */
export const commit: string = typeof BUILD_COMMIT === "string" ? BUILD_COMMIT : "development";
