/** A signal that never fires, for a wait that nothing cuts short. */
export const NEVER: AbortSignal = new AbortController().signal;
