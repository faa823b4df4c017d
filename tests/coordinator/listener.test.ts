import { expect, test } from "bun:test";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startCoordinator } from "../../src/coordinator/coordinator.ts";
import { silentLog } from "../../src/log.ts";
import { HAS_OPENSSL, makeCertificate } from "../harness/certificate.ts";
import { tempFolder } from "../harness/temp-folder.ts";
import { until } from "../harness/until.ts";

test.skipIf(!HAS_OPENSSL)(
  "renewed TLS files are taken up; an open stream goes on, and files that do not fit change nothing",
  async () => {
    using folder = tempFolder();
    for (const name of ["first", "second"]) makeCertificate(folder.path, name, { commonName: "127.0.0.1" });
    const at = (name: string): string => join(folder.path, name);
    const install = (name: string, part: "crt" | "key"): void =>
      copyFileSync(at(`${name}.${part}`), at(`used.${part}`));
    install("first", "crt");
    install("first", "key");
    const certificates: (string | null)[] = [];
    await using coordinator = await startCoordinator({
      host: "127.0.0.1",
      port: 0,
      databasePath: at("coordinator.db"),
      log: silentLog,
      tls: { certFile: at("used.crt"), keyFile: at("used.key") },
      tlsCheckMs: 20,
      onListening: (_url, _port, certificate) => (certificates.push(certificate), { [Symbol.dispose]() {} }),
    });
    expect(coordinator.url).toStartWith("https://127.0.0.1:");
    const pinned = (name: string) => ({
      ca: readFileSync(at(`${name}.crt`), "utf8"),
      checkServerIdentity: () => undefined,
    });
    const trusts = async (name: string): Promise<boolean> => {
      const tls = pinned(name);
      const request = fetch(`${coordinator.url}/health`, { tls, keepalive: false });
      return request.then(
        (response) => response.ok,
        () => false,
      );
    };
    expect([await trusts("first"), await trusts("second")]).toEqual([true, false]);
    const tls = pinned("first");
    const stream = await fetch(`${coordinator.url}/sse/sessions?include_init=false`, { tls });
    const reader = stream.body?.getReader();
    await reader?.read();
    writeFileSync(at("used.crt"), "half a file");
    install("second", "key");
    install("second", "crt");
    await until("the second certificate is shown", () => trusts("second"));
    expect(await trusts("first")).toBeFalse();
    expect(certificates).toHaveLength(2);
    const body = JSON.stringify({ session_id: "ses_of_the_test" });
    await fetch(`${coordinator.url}/sessions`, { method: "POST", body, tls: pinned("second") });
    expect(new TextDecoder().decode((await reader?.read())?.value)).toContain("session_created");
    await reader?.cancel();
  },
);
