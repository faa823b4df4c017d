import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { describeError, UserError } from "../errors.ts";

export interface TlsFiles {
  /** The certificate, followed by its chain (PEM). */
  readonly certFile: string;
  readonly keyFile: string;
}

export interface LoadedTls {
  readonly cert: string;
  readonly key: string;
  /** The certificate without its chain (PEM). */
  readonly certificate: string;
  readonly expiresAtMs: number;
  /** The key can be read by every user of the machine. */
  readonly isKeyOpen: boolean;
}

/** UserError: a file cannot be read, holds something else, has expired, or the two do not belong together. */
export function loadTls({ certFile, keyFile }: TlsFiles): LoadedTls {
  const cert = read("certificate", certFile);
  const key = read("key", keyFile);
  const certificate = parsed("certificate", certFile, () => new X509Certificate(cert));
  const privateKey = parsed("key", keyFile, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new UserError(`The TLS key ${keyFile} does not belong to the certificate ${certFile}`, {
      hint: "The first certificate in the file must be that of the key, before its chain",
    });
  }
  const [fromMs, expiresAtMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
  if (expiresAtMs <= Date.now())
    throw new UserError(`The TLS certificate ${certFile} expired on ${new Date(expiresAtMs).toISOString()}`);
  if (fromMs > Date.now())
    throw new UserError(`The TLS certificate ${certFile} is not valid before ${new Date(fromMs).toISOString()}`);
  const isKeyOpen = (statSync(keyFile).mode & 0o004) !== 0;
  return { cert, key, certificate: certificate.toString(), expiresAtMs, isKeyOpen };
}

/** Changes when one of the files does. */
export function stateOf({ certFile, keyFile }: TlsFiles): string {
  return [certFile, keyFile]
    .map((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "missing" : `${stat.ino} ${stat.size} ${stat.mtimeMs}`;
    })
    .join("; ");
}

function read(what: string, path: string): string {
  try {
    if (!statSync(path).isFile()) throw new Error("it is no regular file");
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new UserError(`Cannot read the TLS ${what} ${path}: ${describeError(error)}`, { cause: error });
  }
}

function parsed<T>(what: string, path: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw new UserError(`The TLS ${what} ${path} cannot be used: it is no PEM, or has a password`, { cause: error });
  }
}
