import { MAX_OUTPUT_BYTES, OutputShown, DEFAULT_OUTPUT_BYTES } from "../../protocol/run-output.ts";
import { INSTANCE_HEADER } from "../../protocol/runner.ts";
import { readBody } from "./http.ts";
import { Refusal, invalid } from "../store/refusal.ts";
import { type Routes, routes } from "./router.ts";
import type { RunOutputs } from "../runners/run-outputs.ts";
import type { Runners } from "../runners/runners.ts";
import type { Runs } from "../runs/runs.ts";

/** The stdout and stderr of runs. Output stays with its runner; `run-outputs.ts` fetches it. */
export function outputRoutes(runs: Runs, runners: Runners, outputs: RunOutputs): Routes {
  return routes({
    async "GET /runs/:run_id/output"({ request, params, query }) {
      const { run_id, runner_id } = await runs.get(params.run_id);
      const wanted = {
        run_id,
        stdout_from: wholeNumber(query, "stdout_from", 0, Number.MAX_SAFE_INTEGER),
        stderr_from: wholeNumber(query, "stderr_from", 0, Number.MAX_SAFE_INTEGER),
        bytes: wholeNumber(query, "bytes", 1, MAX_OUTPUT_BYTES) ?? DEFAULT_OUTPUT_BYTES,
      };
      if (runner_id === null) throw new Refusal("conflict", "The run has not been given to a runner yet");
      if ((await runners.find(runner_id)) === null)
        throw new Refusal("unavailable", "The runner that has the output is not there");
      return Response.json(await outputs.ask(runner_id, wanted, request.signal));
    },
    async "POST /runner/runs/:run_id/output"({ request, params }) {
      const body = await readBody(request, OutputShown);
      await runners.requireCaller(body.runner_id, request.headers.get(INSTANCE_HEADER));
      outputs.shown(params.run_id, body);
      return Response.json({ ok: true });
    },
  });
}

function wholeNumber(query: URLSearchParams, name: string, min: number, max: number): number | null {
  const text = query.get(name);
  if (text === null) return null;
  if (/^\d{1,16}$/.test(text) && Number(text) >= min && Number(text) <= max) return Number(text);
  throw invalid(["query", name], `Expected a whole number from ${min} to ${max}`);
}
