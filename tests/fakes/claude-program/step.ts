/** One act of the fake program, after it has received the prompt. */
export type Step =
  | { readonly say: object }
  | { readonly raw: string }
  /** Writes a message in pieces of this many bytes. */
  | { readonly inPieces: object; readonly bytes: number }
  | { readonly stderrBytes: number }
  /** Sends a control request, and waits for its answer. */
  | { readonly ask: object; readonly id: string }
  /** Sends a control request without waiting. */
  | { readonly askOnly: object; readonly id: string }
  | { readonly awaitInterrupt: true }
  | { readonly closeStdin: true }
  /** Starts a process that holds stdout, also after the program's end, until this file is gone. */
  | { readonly holdStdoutWhile: string }
  | { readonly kill: NodeJS.Signals }
  | { readonly exit: number };

export interface Scenario {
  /** The file that receives each line of stdin. */
  readonly log: string;
  readonly startMs?: number;
  /** The answers of control requests by subtype, instead of the usual ones; null: none. */
  readonly answers?: Readonly<Record<string, object | null>>;
  /** Printed to stderr at the start, followed by an exit with code 1. */
  readonly refusal?: string;
  readonly steps?: readonly Step[];
  /** Whether it ignores the end of its input, interrupts and SIGTERM. */
  readonly isStubborn?: boolean;
}
