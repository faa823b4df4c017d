import { devNull } from "node:os";
import { readRegularFile } from "../trust/read-regular-file.ts";
import { trustFault, trustHint, trustReason, type TrustOptions } from "../trust/trust-fault.ts";

const MAX_BYTES = 1024 * 1024;

/**
 * The tables of a settings file; none of `/dev/null`. Throws for a file that other users can change, that is no regular
 * file, too large, or no TOML. The messages do not name the file.
 */
export function readSettingsText(path: string, options: TrustOptions): Record<string, unknown> {
  if (path === devNull) return {};
  const text = readRegularFile(path, { maxBytes: MAX_BYTES });
  const fault = trustFault(path, options);
  if (fault !== null) throw new Error(`not safe to use: ${trustReason(path, fault)}\n  ${trustHint(path, fault)}`);
  try {
    return Bun.TOML.parse(text) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof RangeError) throw new Error("it is nested too deeply", { cause: error });
    throw error;
  }
}
