import { afterEach, expect, setSystemTime, test } from "bun:test";
import { join } from "node:path";
import { loadTls, stateOf } from "../../src/coordinator/tls-files.ts";

const folder = join(import.meta.dir, "../fixtures/tls");
const files = { certFile: join(folder, "cert.pem"), keyFile: join(folder, "key.pem") };

afterEach(() => void setSystemTime());

test("loadTls: refuses a certificate before and after its time, with the time", () => {
  const { expiresAtMs } = loadTls(files);
  setSystemTime(new Date(expiresAtMs - 1));
  expect(loadTls(files).certificate).toStartWith("-----BEGIN CERTIFICATE-----");
  setSystemTime(new Date(expiresAtMs));
  expect(() => loadTls(files)).toThrow(`expired on ${new Date(expiresAtMs).toISOString()}`);
  setSystemTime(new Date("2001-01-01T00:00:00Z"));
  expect(() => loadTls(files)).toThrow("is not valid before 2");
});

test("stateOf: differs for other files, and for files that are gone", () => {
  expect(stateOf(files)).toBe(stateOf({ ...files }));
  expect(stateOf({ ...files, keyFile: "/nowhere" })).not.toBe(stateOf(files));
});
