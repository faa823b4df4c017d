import { randomHex12 } from "../../../src/protocol/identifiers.ts";
import type { Block, Manner } from "./reply.ts";

const DELTAS_PER_BLOCK = 3;

/** One event of the stream. `isDelta` is true for an event with a piece of content. */
export interface StreamEvent {
  readonly type: string;
  readonly isDelta: boolean;
  readonly frame: string;
}

interface Message {
  readonly model: string;
  readonly blocks: readonly Block[];
  readonly manner: Manner;
}

/** The answer to a request without a stream. */
export function wholeMessage({ model, blocks, manner }: Message): object {
  return {
    ...envelope(model),
    content: blocks.map(withId),
    stop_reason: stopReason(blocks),
    usage: usage(manner, manner.outputTokens),
  };
}

/** The same message as events, in the provider's order. */
export function* messageEvents({ model, blocks, manner }: Message): Generator<StreamEvent> {
  yield event("message_start", {
    message: { ...envelope(model), content: [], stop_reason: null, usage: usage(manner, 1) },
  });
  for (const [index, block] of blocks.map(withId).entries()) {
    const empty = block.type === "text" ? { ...block, text: "" } : { ...block, input: {} };
    yield event("content_block_start", { index, content_block: empty });
    for (const piece of pieces(block.type === "text" ? block.text : JSON.stringify(block.input))) {
      const delta =
        block.type === "text" ? { type: "text_delta", text: piece } : { type: "input_json_delta", partial_json: piece };
      yield event("content_block_delta", { index, delta });
    }
    yield event("content_block_stop", { index });
  }
  yield event("message_delta", {
    delta: { stop_reason: stopReason(blocks), stop_sequence: null },
    usage: { output_tokens: manner.outputTokens ?? 5 },
  });
  yield event("message_stop", {});
}

function event(type: string, fields: object): StreamEvent {
  return {
    type,
    isDelta: type === "content_block_delta",
    frame: `event: ${type}\ndata: ${JSON.stringify({ type, ...fields })}\n\n`,
  };
}

function envelope(model: string): object {
  return { id: `msg_${randomHex12()}`, type: "message", role: "assistant", model, stop_sequence: null };
}

function withId(block: Block): Block & { id?: string } {
  return block.type === "tool_use" ? { ...block, id: `toolu_${randomHex12()}` } : block;
}

function stopReason(blocks: readonly Block[]): string {
  return blocks.some(({ type }) => type === "tool_use") ? "tool_use" : "end_turn";
}

function usage({ inputTokens = 10 }: Manner, outputTokens = 5): object {
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}

/** Splits by code points, so that no delta has half a character. */
function pieces(text: string): string[] {
  const points = Array.from(text);
  const length = Math.max(1, Math.ceil(points.length / DELTAS_PER_BLOCK));
  return Array.from({ length: Math.ceil(points.length / length) }, (_, index) =>
    points.slice(index * length, (index + 1) * length).join(""),
  );
}
