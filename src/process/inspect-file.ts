import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { isShortage } from "./shortage.ts";

/** How the system treats a file when asked to execute it. */
export type FileKind =
  | { readonly kind: "missing" | "not-a-file" | "unreadable" }
  /** Machine code. */
  | { readonly kind: "program"; readonly runnable: boolean }
  /** Begins with `#!`; `interpreter` is an absolute path, or a name to look up in PATH (`#!/usr/bin/env NAME`). */
  | { readonly kind: "script"; readonly runnable: boolean; readonly interpreter: string }
  | { readonly kind: "text"; readonly runnable: boolean };

export function inspectFile(path: string): FileKind {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return { kind: "missing" };
  if (!stat.isFile()) return { kind: "not-a-file" };
  const head = readHead(path);
  if (head === null) return { kind: "unreadable" };
  const runnable = isRunnable(path);
  if (head.includes(0)) return { kind: "program", runnable };
  const interpreter = shebangInterpreter(head.toString("latin1"));
  return interpreter === null ? { kind: "text", runnable } : { kind: "script", runnable, interpreter };
}

/** Whether an interpreter that `inspectFile` returned is on this machine. */
export function hasInterpreter(interpreter: string, pathVariable: string): boolean {
  if (interpreter.includes("/")) return isRunnable(interpreter);
  return pathVariable.split(":").some((folder) => folder !== "" && isRunnable(join(folder, interpreter)));
}

/** Reads enough for a `#!` line, and for the zero byte that distinguishes machine code from text. */
function readHead(path: string): Buffer | null {
  const head = Buffer.alloc(512);
  try {
    const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return head.subarray(0, readSync(file, head));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (isShortage(error)) throw error;
    return null;
  }
}

/**
 * Only a line feed ends the line, as in the kernel. A carriage return counts as part of the interpreter's name, which
 * is then not found.
 */
function shebangInterpreter(head: string): string | null {
  const line = /^#![ \t]*([^\n]*)/.exec(head)?.[1];
  const [program, ...words] = (line ?? "").split(/[ \t]+/).filter((word) => word !== "");
  if (program === undefined) return null;
  if (basename(program) !== "env") return program;
  return words.find((word) => !word.startsWith("-") && !word.includes("=")) ?? program;
}

function isRunnable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
