import type { Authorization } from "../../src/client/credentials.ts";

export const noAuthorization: Authorization = { header: () => Promise.resolve(null), refused() {} };

export function staticToken(token: string): Authorization {
  return { header: () => Promise.resolve(`Bearer ${token}`), refused() {} };
}
