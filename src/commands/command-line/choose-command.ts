import type { ArgDef, ArgsDef } from "citty";
import { nearest } from "../../config/nearest.ts";
import { usageError } from "../../errors.ts";

/** Options that can be repeated; their values are joined by commas. */
const REPEATABLE: ReadonlySet<string> = new Set(["tag", "tags"]);

/**
 * Splits the words into the command, the first word that is neither an option nor an option's value, and the rest.
 * So `-x test-executor` is the root command. Throws a usage error for an unknown command.
 */
export function chooseCommand(
  typed: readonly string[],
  rootArgs: ArgsDef,
  commands: readonly string[],
): { name: string | null; rest: string[] } {
  const argv = expandShort(typed, rootArgs);
  const index = argv.findIndex((word, i) => !word.startsWith("-") && !isValueOf(argv[i - 1], rootArgs));
  const end = argv.indexOf("--");
  const word = index < 0 || (end >= 0 && end < index) ? undefined : argv[index];
  if (word === undefined) return { name: null, rest: [...argv] };
  if (!commands.includes(word)) {
    const before = argv[index - 1];
    // `--typo VALUE`: the option is wrong, not its value.
    if (before?.startsWith("-") && !before.includes("=") && findOption(before, rootArgs) === undefined)
      throw unknownOption("", before, rootArgs);
    const meant = nearest(word, commands);
    throw usageError(
      `Unknown command: ${word}`,
      `${meant === undefined ? "" : `Did you mean ${meant}? `}See agent-runner --help`,
    );
  }
  return { name: word, rest: argv.toSpliced(index, 1) };
}

/** Whether the word after `option` is its value. */
function isValueOf(option: string | undefined, args: ArgsDef): boolean {
  if (option === undefined || !option.startsWith("-") || option.includes("=")) return false;
  const found = findOption(option, args);
  return found !== undefined && found.arg.type !== "boolean";
}

/**
 * Checks the words against the command's arguments and unifies them for the parser: `--name=value` for each option,
 * positionals last. Throws a usage error that names the nearest option.
 */
export function normaliseArgs(command: string, rest: readonly string[], args: ArgsDef): string[] {
  const values = new Map<string, string>();
  const positionals: string[] = [];
  const words = expandShort(rest, args);
  for (let i = 0; i < words.length; i++) {
    const word = words[i] ?? "";
    if (word === "--") {
      positionals.push(...words.slice(i + 1));
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      positionals.push(word);
      continue;
    }
    const [typed = "", ...valueParts] = word.split("=");
    const found = findOption(typed, args);
    if (found === undefined) throw unknownOption(command, typed, args);
    let value = valueParts.length > 0 ? valueParts.join("=") : undefined;
    if (found.arg.type === "boolean") {
      if (value !== undefined && value !== "true" && value !== "false") throw usageError(`${typed} takes no value`);
      const isOn = (value ?? "true") === "true";
      values.set(found.name, String(found.negated ? !isOn : isOn));
      continue;
    }
    if (value === undefined) {
      value = words[++i];
      if (value === undefined || (value.startsWith("-") && value.length > 1)) {
        throw usageError(
          `${typed} needs a value`,
          `Write ${typed} ${found.arg.valueHint ?? "VALUE"}; see ${helpOf(command)}`,
        );
      }
    }
    const before = values.get(found.name);
    values.set(found.name, REPEATABLE.has(found.name) && before !== undefined ? `${before},${value}` : value);
  }
  checkPositionals(command, positionals, args);
  const options = [...values].map(([name, value]) => toWord(name, value, args[name]));
  return positionals.length === 0 ? options : [...options, "--", ...positionals];
}

/** Splits `-vx NAME` and `-xNAME` into one word per letter; the rest after a letter with a value is the value. */
function expandShort(words: readonly string[], args: ArgsDef): string[] {
  const end = words.includes("--") ? words.indexOf("--") : words.length;
  return [...words.slice(0, end).flatMap((word) => expandWord(word, args)), ...words.slice(end)];
}

function expandWord(word: string, args: ArgsDef): string[] {
  if (!/^-[A-Za-z]./.test(word) || word[2] === "=") return [word];
  const first = findOption(word.slice(0, 2), args);
  if (first === undefined) return [word];
  return first.arg.type === "boolean"
    ? [word.slice(0, 2), ...expandWord(`-${word.slice(2)}`, args)]
    : [word.slice(0, 2), word.slice(2)];
}

function toWord(name: string, value: string, arg: ArgDef | undefined): string {
  if (arg?.type !== "boolean") return `--${name}=${value}`;
  // citty takes --no-token for the opposite of --token, but knows the name in camel case.
  if (name.startsWith("no-")) return `--${camelCase(name)}=${value}`;
  return value === "true" ? `--${name}` : `--no-${name}`;
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function findOption(typed: string, args: ArgsDef): { name: string; arg: ArgDef; negated: boolean } | undefined {
  for (const [name, arg] of Object.entries(args)) {
    if (arg.type === "positional") continue;
    const alias = "alias" in arg ? arg.alias : undefined;
    if (typed === `--${name}` || (typeof alias === "string" && typed === `-${alias}`))
      return { name, arg, negated: false };
    if (arg.type === "boolean" && typed === `--no-${name}`) return { name, arg, negated: true };
  }
  return undefined;
}

function unknownOption(command: string, typed: string, args: ArgsDef): Error {
  const known = Object.entries(args).flatMap(([name, arg]) => (arg.type === "positional" ? [] : [`--${name}`]));
  const meant = typed.startsWith("--") ? nearest(typed, known) : undefined;
  return usageError(
    `Unknown option: ${typed}`,
    `${meant === undefined ? "" : `Did you mean ${meant}? `}See ${helpOf(command)}`,
  );
}

function checkPositionals(command: string, positionals: readonly string[], args: ArgsDef): void {
  const expected = Object.entries(args).filter(([, arg]) => arg.type === "positional");
  const [missing] = expected.slice(positionals.length).filter(([, arg]) => arg.required !== false);
  if (missing !== undefined) throw usageError(`${missing[0].toUpperCase()} is missing`, `See ${helpOf(command)}`);
  if (positionals.length > expected.length) {
    const extra = positionals[expected.length] ?? "";
    throw usageError(
      `Unexpected word: ${extra}`,
      expected.length > 0 ? "Put a text of several words in quotes" : `See ${helpOf(command)}`,
    );
  }
}

function helpOf(command: string): string {
  return command === "" ? "agent-runner --help" : `agent-runner ${command} --help`;
}
