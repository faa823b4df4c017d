import * as v from "valibot";
import { ExitCode } from "../errors.ts";
import { silentLog } from "../log.ts";
import { AbandonedRunner, endAbandoned } from "../runner/end-abandoned.ts";

/** `words`: the runner as JSON, then the ids of its runs. Nobody reads its output: the next runner reports the end. */
export async function endAbandonedExecutors([runner = "", ...runIds]: readonly string[]): Promise<number> {
  await endAbandoned(v.parse(AbandonedRunner, JSON.parse(runner)), runIds, silentLog);
  return ExitCode.ok;
}
