import * as v from "valibot";
import { RunId } from "./identifiers.ts";

/** Bytes of each stream in one answer: the maximum, and the default. */
export const MAX_OUTPUT_BYTES = 256 * 1024;
export const DEFAULT_OUTPUT_BYTES = 64 * 1024;

const offset = v.pipe(v.number(), v.integer(), v.minValue(0));

/**
 * A part of one stream. `from` and `to` are offsets in bytes, `size` is the length of the stream. Invalid UTF-8
 * becomes U+FFFD.
 */
export const OutputPart = v.object({ from: offset, to: offset, size: offset, text: v.string() });
export type OutputPart = v.InferOutput<typeof OutputPart>;

/** A request for a part of a run's output. Without an offset, the part is the end of the stream. */
export const OutputWanted = v.object({
  request_id: v.pipe(v.string(), v.regex(/^[\w-]{1,64}$/)),
  run_id: RunId,
  stdout_from: v.nullish(offset, null),
  stderr_from: v.nullish(offset, null),
  bytes: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(MAX_OUTPUT_BYTES)),
});
export type OutputWanted = v.InferOutput<typeof OutputWanted>;

/**
 * The runner's answer to `OutputWanted`: body of `POST /runner/runs/{id}/output`. `output` is null once the runner no
 * longer has it.
 */
export const OutputShown = v.object({
  runner_id: v.string(),
  request_id: v.string(),
  output: v.nullable(v.object({ stdout: OutputPart, stderr: OutputPart })),
});
export type OutputShown = v.InferOutput<typeof OutputShown>;

/** Answer of `GET /runs/{id}/output`. */
export const RunOutputAnswer = v.object({ run_id: v.string(), stdout: OutputPart, stderr: OutputPart });
export type RunOutputAnswer = v.InferOutput<typeof RunOutputAnswer>;
