/** A signal that never fires, for a wait that nothing cancels. */
export const NEVER: AbortSignal = new AbortController().signal;
