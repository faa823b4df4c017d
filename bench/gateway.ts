import { createRun, eventOf, inParallel, postJson } from "./calls.ts";
import type { Item } from "./figure.ts";
import { Scene } from "./scene.ts";
import { summarise, interleave, timed } from "./statistics.ts";

const CONCURRENCY = 16;

/** The cost of the runner's gateway for an executor's events. */
export const gateway: Item = {
  name: "gateway",
  async measure({ quick }) {
    await using scene = new Scene();
    const fifo = scene.fifo();
    const executor = scene.executor("waits", `echo "$AGENT_ORCHESTRATOR_API_URL" >${fifo.path}`, "exec sleep 3600");
    // The events come faster than those of any agent.
    const { url } = await scene.coordinator(undefined, { AGENT_COORDINATOR_EVENTS_LIMIT: "0" });
    await scene.runner(url, executor);
    const started = fifo.lines.next((line) => line);
    const { session_id: sessionId } = await createRun(url);
    const { value: gatewayUrl } = await started;
    const send = (base: string): Promise<unknown> =>
      postJson(`${base}/sessions/${sessionId}/events`, eventOf(sessionId));

    const [through = [], direct = []] = await interleave(
      { warmUp: 50, samples: quick ? 100 : 2_000 },
      () => timed(() => send(gatewayUrl)),
      () => timed(() => send(url)),
    );
    const block = quick ? 100 : 500;
    const rate = (base: string) => async (): Promise<number> =>
      (block / (await timed(() => inParallel(block, CONCURRENCY, () => send(base))))) * 1000;
    const [throughRates = [], directRates = []] = await interleave(
      { warmUp: 1, samples: quick ? 3 : 20 },
      rate(gatewayUrl),
      rate(url),
    );
    const limitIs = "the same event sent directly to the coordinator";
    return [
      {
        item: "gateway",
        what: "an event through the gateway",
        unit: "ms",
        better: "lower",
        measured: summarise(through),
        limit: summarise(direct),
        limitIs,
        aim: { of: "added", bound: 0.5 },
      },
      {
        item: "gateway",
        what: `events through the gateway, ${CONCURRENCY} at once`,
        unit: "1/s",
        better: "higher",
        measured: summarise(throughRates, "higher"),
        limit: summarise(directRates, "higher"),
        limitIs,
      },
    ];
  },
};
