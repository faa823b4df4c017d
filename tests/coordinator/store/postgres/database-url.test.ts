import { describe, expect, test } from "bun:test";
import { UserError } from "../../../../src/errors.ts";
import { describeDatabase, parseDatabaseUrl } from "../../../../src/coordinator/store/postgres/database-url.ts";

describe("parseDatabaseUrl", () => {
  test("reads every part, and decodes it", () => {
    expect(
      parseDatabaseUrl(
        "postgresql://us%40er:p%2Fa%3As%25s@db.example:6432/my%20db?sslmode=verify-full&sslrootcert=/ca.pem" +
          "&sslcert=/c.pem&sslkey=/k.pem&prepare=false&pool_size=40&connect_timeout=9&schema=fleet",
      ),
    ).toEqual({
      host: "db.example",
      port: 6432,
      user: "us@er",
      password: "p/a:s%s",
      database: "my db",
      sslMode: "verify-full",
      sslRootCert: "/ca.pem",
      sslCert: "/c.pem",
      sslKey: "/k.pem",
      prepare: false,
      poolSize: 40,
      connectTimeoutSeconds: 9,
      schema: "fleet",
    });
  });

  test("encrypts by default, except to this machine", () => {
    expect(parseDatabaseUrl("postgres://a@db/x").sslMode).toBe("require");
    for (const host of ["localhost", "127.0.0.1", "[::1]"]) {
      expect(parseDatabaseUrl(`postgres://a@${host}/x`).sslMode).toBe("prefer");
    }
  });

  test("takes a folder of a unix socket as host, and the user as database", () => {
    const url = parseDatabaseUrl("postgres://a@localhost?host=/run/postgresql");
    expect(url).toMatchObject({ host: "/run/postgresql", port: 5432, database: "a", sslMode: "prefer", poolSize: 10 });
    expect(describeDatabase(url)).toBe("postgres://a@localhost/a?host=/run/postgresql");
    expect(parseDatabaseUrl(describeDatabase(url))).toEqual(url);
  });

  test.each([
    ["mysql://a:secret@db/x", "not a URL of PostgreSQL"],
    ["/run/secret.sqlite", "not a URL of PostgreSQL"],
    ["postgres://a:sec#ret@db/x", "not a URL of PostgreSQL"],
    ["postgres://a:secret@one,two:5432/x", "names several hosts"],
    ["postgres://:secret@db/x", "names no user"],
    ["postgres://a:secret%@db/x", "a % that begins no encoded character"],
    ["postgres://a:secret@db/x?sslmode=maybe", "sslmode of the database's URL is not one of disable, prefer"],
    ["postgres://a:secret@db/x?pool_size=0", "pool_size of the database's URL is not a whole number from 1 to 1000"],
    ["postgres://a:secret@db/x?prepare=no", "prepare of the database's URL is not one of true, false"],
    ["postgres://a@db/x?password=secret", "unknown parameter: password"],
  ])("refuses %s without its password", (text, words) => {
    let error: unknown;
    try {
      parseDatabaseUrl(text);
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof UserError)) throw new Error("not refused");
    expect(error.message).toContain(words);
    expect(Bun.inspect(error).replace(/^ *(?:at |\d+ \|).*$/gm, "")).not.toContain("secret");
  });
});
