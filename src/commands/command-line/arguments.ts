import * as v from "valibot";
import { usageError } from "../../errors.ts";
import type { CommandArgs } from "./command.ts";

export function textArg(args: CommandArgs, name: string): string | undefined {
  const value = args[name];
  return typeof value === "string" ? value : undefined;
}

export function flagArg(args: CommandArgs, option: string): boolean {
  return args[option] === true;
}

/** The parsed value of an option; undefined if it is not set. Throws a usage error with the schema's message. */
export function parsedArg<S extends v.GenericSchema>(
  args: CommandArgs,
  option: string,
  schema: S,
): v.InferOutput<S> | undefined {
  const text = textArg(args, option);
  if (text === undefined) return undefined;
  const result = v.safeParse(schema, text);
  if (result.success) return result.output;
  throw usageError(`--${option}: ${result.issues[0].message}`);
}

/** Throws a usage error for a word that is none of `choices`. `name` is for the message: `ACTION`, `--stream`. */
export function oneOf<const Choice extends string>(name: string, word: string, choices: readonly Choice[]): Choice {
  const choice = choices.find((candidate) => candidate === word);
  if (choice !== undefined) return choice;
  throw usageError(`${name}: "${word}" is none of ${choices.join(", ")}`);
}
