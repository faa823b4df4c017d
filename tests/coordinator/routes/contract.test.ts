import { Validator } from "@seriousme/openapi-schema-validator";
import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { openApiDocument } from "../../../src/coordinator/routes/openapi.ts";
import { OPERATIONS } from "../../../src/coordinator/routes/operations.ts";
import { Fixture } from "../fixture.ts";

const FOLDER = join(import.meta.dir, "../../fixtures/exchanges");

/** One request with its expected answer, which may have more fields. `<x>` is a value that `Names` checks or binds. */
interface Exchange {
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly body?: unknown;
    readonly headers?: Record<string, string>;
  };
  readonly answer: { readonly status: number; readonly body?: unknown };
}

/** `<time>`, `<number>`, `<text>` and `<text:part>` describe a form; other placeholders are bound on first use. */
class Names {
  readonly #bound = new Map<string, string>();

  fill<T>(value: T): T {
    return JSON.parse(
      JSON.stringify(value).replaceAll(/<([\w-]+)>/g, (whole, name: string) => this.#bound.get(name) ?? whole),
    ) as T;
  }

  /** Throws unless `answer` matches `expected`. */
  match(expected: unknown, answer: unknown, at: string): void {
    const [, name = "", part] = (typeof expected === "string" && /^<([\w-]+)(?::(.*))?>$/s.exec(expected)) || [];
    if (name === "time")
      expect({ [at]: answer }).toEqual({ [at]: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/) });
    else if (name === "number") expect({ [at]: answer }).toEqual({ [at]: expect.any(Number) });
    else if (name === "text") expect({ [at]: answer }).toEqual({ [at]: expect.stringContaining(part ?? "") });
    else if (name !== "" && !this.#bound.has(name)) this.#bound.set(name, String(answer));
    else if (name !== "") expect({ [at]: answer }).toEqual({ [at]: this.#bound.get(name) });
    else if (typeof expected !== "object" || expected === null) expect({ [at]: answer }).toEqual({ [at]: expected });
    else this.#matchEach(expected, answer, at);
  }

  #matchEach(expected: object, answer: unknown, at: string): void {
    if (typeof answer !== "object" || answer === null)
      throw new Error(`${at}: expected an object or a list, got ${JSON.stringify(answer)}`);
    if (Array.isArray(expected))
      expect({ [`length of ${at}`]: (answer as unknown[]).length }).toEqual({ [`length of ${at}`]: expected.length });
    for (const [key, value] of Object.entries(expected)) {
      expect(Object.keys(answer)).toContain(key);
      this.match(value, (answer as Record<string, unknown>)[key], `${at}.${key}`);
    }
  }
}

/** Checks answers against the coordinator's own OpenAPI document. */
class Description {
  readonly #ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }));
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly #document: any;

  private constructor(document: unknown) {
    this.#document = document;
    this.#ajv.addSchema(document as object, "api");
  }

  static async of(c: Fixture): Promise<Description> {
    return new Description((await c.get("/openapi.json")).body);
  }

  check({ method, path }: Exchange["request"], { status, body }: Exchange["answer"]): void {
    const segments = (path.split("?")[0] ?? "").split("/");
    const fits = (template: string): boolean => {
      const parts = template.split("/");
      return parts.length === segments.length && parts.every((part, i) => part.startsWith("{") || part === segments[i]);
    };
    // A path without parameters wins over a path with parameters.
    const template = Object.keys(this.#document.paths)
      .toSorted((a, b) => Number(a.includes("{")) - Number(b.includes("{")))
      .find(fits);
    const described = this.#document.paths[template ?? ""]?.[method.toLowerCase()]?.responses?.[status];
    if (described === undefined) throw new Error(`${method} ${path}: the answer ${status} is not described`);
    if (described.content?.["application/json"]?.schema === undefined) return;
    const pointer = [
      "paths",
      template ?? "",
      method.toLowerCase(),
      "responses",
      String(status),
      "content",
      "application/json",
      "schema",
    ];
    const escaped = pointer.map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")));
    const validate = this.#ajv.getSchema(`api#/${escaped.join("/")}`);
    if (validate === undefined) throw new Error(`no schema at ${pointer.join("/")}`);
    expect([`${method} ${path}`, validate(body), validate.errors ?? []]).toEqual([`${method} ${path}`, true, []]);
  }
}

describe("the contract", () => {
  for (const file of readdirSync(FOLDER)) {
    const { what, exchanges } = JSON.parse(readFileSync(join(FOLDER, file), "utf8")) as {
      what: string;
      exchanges: Exchange[];
    };
    test(`${file}: ${what}`, async () => {
      await using c = await Fixture.start();
      const description = await Description.of(c);
      const names = new Names();
      for (const exchange of exchanges) {
        const { method, path, body, headers } = names.fill(exchange.request);
        const answer = await c.call(method, path, body, headers === undefined ? {} : { headers });
        expect([method, path, answer.status, answer.status === exchange.answer.status ? null : answer.body]).toEqual([
          method,
          path,
          exchange.answer.status,
          null,
        ]);
        if (exchange.answer.body !== undefined) names.match(exchange.answer.body, answer.body, `${method} ${path}`);
        description.check({ method, path }, answer);
      }
    });
  }
});

describe("GET /openapi.json", () => {
  test("is a valid OpenAPI 3.1 document", async () => {
    await using c = await Fixture.start();
    const { status, body } = await c.get("/openapi.json");
    expect([status, body.openapi]).toEqual([200, "3.1.0"]);
    const { valid, errors } = await new Validator().validate(structuredClone(body));
    expect([valid, errors ?? []]).toEqual([true, []]);
    expect(JSON.stringify(body)).not.toContain("$defs");
  });

  test("describes a body with its required fields; fields with a default are optional", async () => {
    await using c = await Fixture.start();
    const { CreateRun } = (await c.get("/openapi.json")).body.components.schemas;
    expect(CreateRun.required).toEqual(["type", "prompt"]);
    expect(Object.keys(CreateRun.properties)).toContain("max_attempts");
  });

  test("throws for a route without a description and for a description without a route", () => {
    const all = Object.keys(OPERATIONS);
    expect(() => openApiDocument([...all, "GET /new"])).toThrow("GET /new");
    expect(() => openApiDocument(all.slice(1))).toThrow(all[0]);
  });
});
