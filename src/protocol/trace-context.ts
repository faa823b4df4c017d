import * as v from "valibot";

/** `00-<trace id>-<span id>-<flags>`. An id of zeros is invalid (W3C Trace Context, section 3.2). */
export const Traceparent = v.pipe(
  v.string(),
  v.regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/, "is no traceparent"),
);

/** Data of tracing systems, passed on unchanged. */
// oxlint-disable-next-line no-control-regex
export const Tracestate = v.pipe(v.string(), v.regex(/^[\x20-\x7e]{1,512}$/, "is no tracestate"));

export interface TraceFields {
  readonly traceparent?: string;
  readonly tracestate?: string;
}

/** The trace in a request's headers. An invalid header counts as absent (W3C Trace Context, section 3.2.2). */
export function traceOfHeaders(headers: Headers): TraceFields {
  const read = (name: string, schema: typeof Traceparent | typeof Tracestate): string | undefined => {
    const parsed = v.safeParse(schema, headers.get(name));
    return parsed.success ? parsed.output : undefined;
  };
  return traceFields({ traceparent: read("traceparent", Traceparent), tracestate: read("tracestate", Tracestate) });
}

/** Leaves out absent fields, and a `tracestate` without a `traceparent`. */
export function traceFields({
  traceparent,
  tracestate,
}: {
  readonly traceparent?: string | null | undefined;
  readonly tracestate?: string | null | undefined;
}): TraceFields {
  if (traceparent == null) return {};
  return tracestate == null ? { traceparent } : { traceparent, tracestate };
}
