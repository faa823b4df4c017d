import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  type Sampler,
  TraceIdRatioBasedSampler,
} from "@opentelemetry/sdk-trace";
import type { TraceSettings } from "../config/trace-settings.ts";
import type { Log } from "../log.ts";

/** The sampler that OTEL_TRACES_SAMPLER names; the standard one, with a line about it, where there is none of that name. */
export function samplerOf({ sampler, samplerArgument }: TraceSettings, log: Log): Sampler {
  const isParentBased = sampler.startsWith("parentbased_");
  const root = rootSampler(isParentBased ? sampler.slice("parentbased_".length) : sampler, samplerArgument);
  if (root === null) {
    log.warn(
      `OTEL_TRACES_SAMPLER or its argument makes no sense (${sampler}, ${samplerArgument ?? "no argument"}): every run is traced`,
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
