import { join } from "node:path";

export const HAS_OPENSSL = Bun.which("openssl") !== null;

/**
 * Makes NAME.crt and NAME.key in the folder. The certificate signs itself and is for `commonName`. A negative number of
 * days: it has expired.
 */
export function makeCertificate(
  folder: string,
  name: string,
  { commonName = "coordinator.example", days = 90 } = {},
): { readonly cert: string; readonly key: string } {
  const [cert, key, request] = ["crt", "key", "csr"].map((ending) => join(folder, `${name}.${ending}`)) as [
    string,
    string,
    string,
  ];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key];
  openssl("req", ...curve, "-subj", `/CN=${commonName}`, "-out", request);
  openssl("x509", "-req", "-in", request, "-signkey", key, "-days", String(days), "-out", cert);
  return { cert, key };
}

function openssl(...args: string[]): void {
  const { exitCode, stderr } = Bun.spawnSync(["openssl", ...args]);
  if (exitCode !== 0) throw new Error(stderr.toString());
}
