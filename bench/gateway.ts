import { createRun, eventOf, inLanes, postJson } from "./calls.ts";
import type { Item } from "./figure.ts";
import { Scene } from "./scene.ts";
import { summarise, takeTurns, timed } from "./statistics.ts";

const AT_ONCE = 16;

/** What it costs an executor that its events go through the runner's gateway. */
export const gateway: Item = {
  name: "gateway",
  async measure({ quick }) {
    await using scene = new Scene();
    const bell = scene.bell();
    const executor = scene.executor("waits", `echo "$AGENT_ORCHESTRATOR_API_URL" >${bell.path}`, "exec sleep 3600");
    const { url } = await scene.coordinator();
    await scene.runner(url, executor);
    const began = bell.lines.next((line) => line);
    const { session_id: sessionId } = await createRun(url);
    const { value: gatewayUrl } = await began;
    const send = (base: string): Promise<unknown> =>
      postJson(`${base}/sessions/${sessionId}/events`, eventOf(sessionId));

    const [through = [], direct = []] = await takeTurns(
      { warmUp: 50, samples: quick ? 100 : 2_000 },
      () => timed(() => send(gatewayUrl)),
      () => timed(() => send(url)),
    );
    const block = quick ? 100 : 500;
    const rate = (base: string) => async (): Promise<number> =>
      (block / (await timed(() => inLanes(block, AT_ONCE, () => send(base))))) * 1000;
    const [throughRates = [], directRates = []] = await takeTurns(
      { warmUp: 1, samples: quick ? 3 : 20 },
      rate(gatewayUrl),
      rate(url),
    );
    const limitIs = "the same event to the coordinator direct";
    return [
      {
        item: "gateway",
        what: "an event through it",
        unit: "ms",
        better: "lower",
        measured: summarise(through),
        limit: summarise(direct),
        limitIs,
        aim: { of: "added", bound: 0.5 },
      },
      {
        item: "gateway",
        what: `events through it, ${AT_ONCE} at once`,
        unit: "1/s",
        better: "higher",
        measured: summarise(throughRates, "higher"),
        limit: summarise(directRates, "higher"),
        limitIs,
      },
    ];
  },
};
