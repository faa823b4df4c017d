import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { TraceSettings } from "../config/trace-settings.ts";
import type { Log } from "../log.ts";

/**
 * The sampler that OTEL_TRACES_SAMPLER names. Falls back to the default, with a warning, if the name or argument is
 * invalid.
 */
export function samplerOf({ sampler, samplerArgument }: TraceSettings, log: Log): Sampler {
  const isParentBased = sampler.startsWith("parentbased_");
  const root = rootSampler(isParentBased ? sampler.slice("parentbased_".length) : sampler, samplerArgument);
  if (root === null) {
    log.warn(
      `Invalid OTEL_TRACES_SAMPLER or argument (${sampler}, ${samplerArgument ?? "no argument"}): tracing every run`,
    );
    return new ParentBasedSampler({ root: new AlwaysOnSampler() });
  }
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}

function rootSampler(name: string, argument: string | undefined): Sampler | null {
  switch (name) {
    case "always_on":
      return new AlwaysOnSampler();
    case "always_off":
      return new AlwaysOffSampler();
    case "traceidratio": {
      const ratio = Number(argument ?? "1");
      return ratio >= 0 && ratio <= 1 ? new TraceIdRatioBasedSampler(ratio) : null;
    }
    default:
      return null;
  }
}
