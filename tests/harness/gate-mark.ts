import { GATE_MARKER } from "../../scripts/step-leftovers.ts";

const mark = process.env[GATE_MARKER];

/** The environment that lets the gate end what outlives a test that was killed. Empty outside the gate. */
export const GATE_MARK: Readonly<Record<string, string>> = mark === undefined ? {} : { [GATE_MARKER]: mark };
