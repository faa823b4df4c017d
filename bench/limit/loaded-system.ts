// The Node and Bun modules that the runner's own modules import.
import { dlopen } from "bun:ffi";
import { Database } from "bun:sqlite";
import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";

// Named, so that the bundler keeps them.
export const loaded = [dlopen, Database, readFileSync, readdir, hostname, join, parseArgs];
