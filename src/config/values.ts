import * as v from "valibot";

/*
 * Schemas for the values of settings. Each accepts the strings of flags and variables, and the numbers and booleans of
 * a TOML file.
 */

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A timer with a longer delay fires at once. */
const LONGEST_MS = 2 ** 31 - 1;

function time(examples: string, longestMs = Number.MAX_SAFE_INTEGER) {
  return v.pipe(
    v.union([v.string(), v.number()]),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(String(dataset.value).trim());
      if (!match) {
        addIssue({
          message: `"${dataset.value}" is not a time; write seconds (90) or a number with a unit (${examples})`,
        });
        return NEVER;
      }
      const ms = Number(match[1]) * (UNITS[match[2] ?? "s"] ?? 1000);
      if (ms <= longestMs) return ms;
      addIssue({
        message: `"${dataset.value}" is too long a time; ${Math.floor(longestMs / 86_400_000)}d is the longest`,
      });
      return NEVER;
    }),
  );
}

/**
 * A time to wait: seconds (`90`) or a number with a unit (`500ms`, `30s`, `5m`, `2h`, `1d`). Becomes milliseconds; at
 * most 24 days.
 */
export const Duration = time("30s, 5m, 2h", LONGEST_MS);

/** A `Duration` of any length, in milliseconds. */
export const Age = time("12h, 30d");

const SIZES: Record<string, number> = { "": 1, b: 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3 };

/** A size in bytes (`1048576`) or with a unit (`64MiB`, `64M`, `1G`). Becomes bytes. */
export const Size = v.pipe(
  v.union([v.string(), v.number()]),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const match = /^(\d+(?:\.\d+)?)\s*(?:([kmg])(?:i?b)?|b)?$/i.exec(String(dataset.value).trim());
    if (!match) {
      addIssue({ message: `"${dataset.value}" is not a size; write bytes or a number with a unit (64MiB, 1G)` });
      return NEVER;
    }
    return Math.round(Number(match[1]) * (SIZES[(match[2] ?? "").toLowerCase()] ?? 1));
  }),
);

/** A whole number of at least `least` (and at most `most`). */
export function wholeNumber(least: number, most = Number.MAX_SAFE_INTEGER) {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  return v.pipe(
    v.union([v.string(), v.number()]),
    v.rawTransform(({ dataset, addIssue, NEVER }) => {
      const text = String(dataset.value).trim();
      const value = Number(text);
      if (!/^\d+$/.test(text) || value < least || value > most) {
        addIssue({ message: `"${dataset.value}" is not a whole number ${range}` });
        return NEVER;
      }
      return value;
    }),
  );
}

/** Seconds of at least 0.1, as POLL_TIMEOUT and HEARTBEAT_INTERVAL of the Python runner. */
export const Seconds = v.pipe(
  Duration,
  v.transform((ms) => ms / 1000),
  v.check((seconds) => seconds >= 0.1 && seconds <= 3600, "must lie between 0.1 and 3600 seconds"),
);

export const Flag = v.pipe(
  v.union([v.string(), v.boolean()]),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const text = String(dataset.value).trim().toLowerCase();
    if (["1", "true", "yes", "on"].includes(text)) return true;
    if (["", "0", "false", "no", "off"].includes(text)) return false;
    addIssue({ message: `"${dataset.value}" is neither true nor false` });
    return NEVER;
  }),
);

/** A secret. Its messages never repeat the value. */
export const Secret = v.pipe(v.string("must be a text"), v.trim(), v.minLength(1, "is empty"));

export const Text = v.pipe(v.string(), v.trim(), v.minLength(1, "is empty"));

/**
 * A path. `loadConfig` makes it absolute, from the current folder; `~` is the home folder: nobody expands it in a file,
 * a service or between quotes.
 */
export const Path = v.pipe(
  Text,
  v.check(
    (path) => !/^~[^/]/.test(path),
    ({ input }) => `"${input}": only ~ and ~/ stand for a home folder; write another user's in full`,
  ),
);

/** As `Path`, but a relative path starts where its reader says, and a name may stand for a path. */
export const PathOrName = v.pipe(Path, v.trim());

/** A list: `a,b` or, in a file, `["a", "b"]`. */
export const List = v.pipe(
  v.union([v.string(), v.array(v.string())]),
  v.transform((value) => (typeof value === "string" ? value.split(",") : value).map((s) => s.trim()).filter(Boolean)),
);

/** Origins of web pages: `http://localhost:3000`, without a path. */
export const Origins = v.pipe(
  List,
  v.checkItems(
    (origin) => URL.canParse(origin) && new URL(origin).origin === origin,
    ({ input }) => `"${input}" is not an origin such as http://localhost:3000`,
  ),
);

/** An address to listen on. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:9464`, `[::1]:9464`, or a port alone, which means 127.0.0.1. */
export const Address = v.pipe(
  v.union([v.string(), v.number()]),
  v.rawTransform(({ dataset, addIssue, NEVER }): Address => {
    const text = String(dataset.value).trim();
    const match = /^(?:(?:\[([0-9a-f:.]+)\]|([^\s:[\]]+))?:)?(\d{1,5})$/i.exec(text);
    const port = Number(match?.[3]);
    if (match !== null && port <= 65_535) return { host: match[1] ?? match[2] ?? "127.0.0.1", port };
    addIssue({ message: `"${dataset.value}" is not an address such as 127.0.0.1:9464` });
    return NEVER;
  }),
);

/** An http(s) URL without a trailing slash. */
export const HttpUrl = v.pipe(
  v.string(),
  v.trim(),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const url = URL.canParse(dataset.value) ? new URL(dataset.value) : null;
    if (url === null || !["http:", "https:"].includes(url.protocol)) {
      // The value may hold a password, or the token of a run.
      addIssue({ message: "must be a URL such as http://localhost:8765" });
      return NEVER;
    }
    if (url.username || url.password) {
      addIssue({ message: "must not carry a user name or password; use AGENT_COORDINATOR_TOKEN" });
      return NEVER;
    }
    return `${url.origin}${url.pathname.replace(/\/+$/, "")}`;
  }),
);
