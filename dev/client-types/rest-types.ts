/**
 * The client's types of the REST API, from the OpenAPI document.
 * @module
 */
import { comment, fieldText, type JsonSchema, typeText } from "./type-text.ts";

type Parameter = {
  name: string;
  in: "path" | "query" | "header" | "cookie";
  required?: boolean;
  description?: string;
  schema: JsonSchema;
};
type Media = Record<string, { schema: JsonSchema }>;
type Operation = {
  summary?: string;
  parameters?: Parameter[];
  requestBody?: { required?: boolean; content: Media };
  responses: Record<string, { content?: Media }>;
};
export type OpenApi = {
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, JsonSchema> };
};

const HEAD = "// Made from api/openapi.json by `npm run client:types`. Do not edit.\n";
const KEY_HEADER = "idempotency-key";
/** Not for clients: QStash's deliveries, the documentation, and the upgrade (its frames are in frames.ts). */
const LEFT_OUT = new Set([
  "POST /api/jobs",
  "GET /api/docs",
  "GET /api/docs/rooms",
  "GET /api/asyncapi.json",
  "GET /api/openapi.json",
  "GET /api/rooms/{room}",
]);

/** The text of `client/src/generated/rest.ts`. @param frames names of the schemas that frames.ts has */
export function restTypes({ paths, components }: OpenApi, frames: readonly string[]): string {
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation }))
      .filter(({ name }) => !LEFT_OUT.has(name)),
  );
  const sent = namesSent(operations.map(({ operation }) => operation));
  const schemas = Object.entries(components.schemas)
    .filter(([name]) => !frames.includes(name))
    .map(
      ([name, schema]) =>
        `${comment(schema.description)}export type ${name} = ${typeText(schema, sent.has(name) ? "sent" : "answered")};\n`,
    );
  const keyed = operations.filter(({ operation }) =>
    operation.parameters?.some((parameter) => parameter.name === KEY_HEADER),
  );
  const body = [
    ...schemas,
    `/** Every call: what is sent, and what a success is answered with. */\nexport type Operations = {\n${operations
      .map(({ name, operation }) => operationText(name, operation))
      .join("")}};\n`,
    `/** Calls that take an idempotency key. */\nexport const KEYED_OPERATIONS: readonly (keyof Operations)[] = [\n${keyed
      .map(({ name }) => `  ${JSON.stringify(name)},\n`)
      .join("")}];\n`,
  ].join("\n");
  const borrowed = frames.filter((name) => new RegExp(`\\b${name}\\b`).test(body));
  return `${HEAD}\nimport type { ${borrowed.join(", ")} } from "./frames.ts";\n\n${body}`;
}

/** Schemas that only requests use. */
function namesSent(operations: Operation[]): Set<string> {
  const bodies = operations.map(
    (operation) => operation.requestBody?.content["application/json"]?.schema.$ref,
  );
  return new Set(bodies.filter(($ref) => $ref !== undefined).map(($ref) => $ref.split("/").at(-1) ?? ""));
}

function operationText(
  name: string,
  { summary, parameters = [], requestBody, responses }: Operation,
): string {
  const body = requestBody?.content["application/json"]?.schema;
  const answers = Object.entries(responses)
    .filter(([status]) => status.startsWith("2"))
    .map(([, { content }]) => content?.["application/json"]?.schema);
  const parts = [
    `    path: ${parametersText(parameters, "path")};\n`,
    `    query: ${parametersText(parameters, "query")};\n`,
    `    body: ${body ? `${typeText(body, "sent", "    ")}${requestBody?.required ? "" : " | undefined"}` : "undefined"};\n`,
    `    answer: ${answers.map((schema) => (schema ? typeText(schema, "answered", "    ") : "undefined")).join(" | ")};\n`,
  ];
  return `${comment(summary, "  ")}  ${JSON.stringify(name)}: {\n${parts.join("")}  };\n`;
}

function parametersText(parameters: Parameter[], place: Parameter["in"]): string {
  const fields = parameters.filter((parameter) => parameter.in === place);
  if (fields.length === 0) return "undefined";
  const lines = fields.map(
    ({ name, required, description, schema }) =>
      `${comment(description ?? schema.description, "      ")}      ${fieldText(name, typeText(schema, "sent", "      "), !required, "sent")}`,
  );
  return `{\n${lines.join("")}    }`;
}
