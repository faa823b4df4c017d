import type { TreeShape } from "../../protocol/session.ts";
import type { Store } from "../store/store.ts";

const SHAPE = `
  SELECT tree_depth AS depth, children_started AS children, trees.runs
  FROM sessions JOIN trees USING (tree_id) WHERE session_id = ?`;

/** The place of an existing session in its tree, and what was created there so far. */
export async function shapeOf(store: Store, sessionId: string): Promise<TreeShape> {
  return (await store.get<TreeShape>(SHAPE, sessionId)) ?? { depth: 0, children: 0, runs: 0 };
}
