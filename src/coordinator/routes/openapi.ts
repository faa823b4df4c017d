import { type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";
import { AgentShown, EventShown, FaultAnswer, RunAnswer, RunnerShown, SessionShown } from "../../protocol/answers.ts";
import { CreateRun, Demands } from "../../protocol/run.ts";
import { version } from "../../version.ts";
import { rolesOf } from "./access/roles.ts";
import { type Operation, OPERATIONS } from "./operations.ts";

/** Schemas defined once under `components` and referenced everywhere else. */
const NAMED: Record<string, v.GenericSchema> = {
  Run: RunAnswer,
  CreateRun,
  Demands,
  Session: SessionShown,
  Event: EventShown,
  Agent: AgentShown,
  Runner: RunnerShown,
  Fault: FaultAnswer,
};

const FAULTS: Readonly<Record<number, string>> = {
  400: "Invalid request, or a body that is not JSON",
  401: "Missing or wrong token; for calls by a runner: the runner is not registered",
  403: "The role of the token is not among `x-roles`, or the request is from a web page of another origin",
  404: "Not found",
  409: "Conflict with the current state",
  413: "The body is larger than 50 MiB",
  422: "Invalid field or parameter",
  500: "Internal error",
  503: "The database cannot be used, or the coordinator is closing",
  507: "No room on the coordinator's disk",
};

/** The OpenAPI 3.1 document of `routes` (`"GET /runs/:run_id"`). Throws unless each route has its description. */
export function openApiDocument(routes: readonly string[]): object {
  const missing = [
    ...routes.filter((route) => !(route in OPERATIONS)),
    ...Object.keys(OPERATIONS).filter((name) => !routes.includes(name)),
  ];
  if (missing.length > 0) throw new Error(`Routes and descriptions differ: ${missing.join(", ")}`);
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, operation] of Object.entries(OPERATIONS)) {
    const [method = "", path = ""] = name.split(" ");
    const template = path.replaceAll(/:(\w+)/g, "{$1}");
    paths[template] = { ...paths[template], [method.toLowerCase()]: describe(name, path, operation) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Agent Coordinator",
      version,
      description: "Queues runs of AI agents, assigns them to runners, and stores sessions and their events.",
      license: { name: "MIT", identifier: "MIT" },
    },
    security: [{ token: [] }, {}],
    paths,
    components: {
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: "Required if the coordinator has a token. `x-roles` of a route names the roles that may call it",
        },
      },
      schemas: Object.fromEntries(Object.entries(NAMED).map(([name, schema]) => [name, definitionOf(name, schema)])),
    },
  };
}

function describe(
  name: string,
  path: string,
  { summary, tag, query = {}, headers = {}, body, answers, faults = [] }: Operation,
): object {
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, param]) => ({
      name: param,
      in: "path",
      required: true,
      schema: { type: "string" },
    })),
    ...Object.entries(query).map(([param, description]) => ({
      name: param.replace("!", ""),
      in: "query",
      description,
      ...(param.endsWith("!") ? { required: true } : {}),
      schema: { type: "string" },
    })),
    ...Object.entries(headers).map(([header, description]) => ({
      name: header,
      in: "header",
      description,
      schema: { type: "string" },
    })),
  ];
  return {
    operationId: name.replaceAll(/[^A-Za-z]+/g, "_").toLowerCase(),
    summary,
    tags: [tag],
    // The roles whose tokens may call the route; an open route needs no token.
    ...(rolesOf(name) === null ? { security: [] } : { "x-roles": rolesOf(name) }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { "application/json": { schema: schemaOf(body) } } } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerOf(answer)])),
      ...Object.fromEntries([401, 403, 500, 503, 507, ...faults].map((status) => [status, faultOf(status)])),
    },
  };
}

function answerOf(answer: Operation["answers"][number]): object {
  if (answer === null) return { description: "No content" };
  if (typeof answer === "string") return { description: "Success", content: { [answer]: {} } };
  return { description: "Success", content: { "application/json": { schema: schemaOf(answer) } } };
}

function faultOf(status: number): object {
  const description = FAULTS[status] ?? "Error";
  return { description, content: { "application/json": { schema: { $ref: "#/components/schemas/Fault" } } } };
}

/** The JSON Schema of a body, with references to the named schemas. */
function schemaOf(schema: v.GenericSchema): JsonSchema {
  return converted(schema, NAMED);
}

/** The JSON Schema of a named schema itself, with references to the other named schemas. */
function definitionOf(name: string, schema: v.GenericSchema): JsonSchema {
  return converted(schema, Object.fromEntries(Object.entries(NAMED).filter(([other]) => other !== name)));
}

function converted(schema: v.GenericSchema, definitions: Record<string, v.GenericSchema>): JsonSchema {
  const {
    $schema: _,
    $defs: _defs,
    ...json
  } = toJsonSchema(schema, {
    target: "draft-2020-12",
    // Describes bodies as clients send them, before defaults; omits checks that JSON Schema cannot express.
    typeMode: "input",
    errorMode: "ignore",
    definitions,
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  });
  return json;
}
