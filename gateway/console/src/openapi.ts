/** As much of OpenAPI 3.1 and JSON Schema as a reader needs. */

export interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  description?: string;
  const?: unknown;
  enum?: unknown[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: Schema | boolean;
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
}

export interface Parameter {
  $ref?: string;
  name: string;
  in: string;
  required?: boolean;
  description?: string;
  schema?: Schema;
}

export interface Body {
  $ref?: string;
  description?: string;
  content?: Record<string, { schema?: Schema; example?: unknown }>;
}

export interface Operation {
  method: string;
  path: string;
  tags?: string[];
  summary?: string;
  description?: string;
  deprecated?: boolean;
  parameters?: Parameter[];
  requestBody?: Body;
  responses?: Record<string, Body>;
}

/** What is sent over a socket. */
export interface Message {
  summary?: string;
  payload: Schema;
}

/** Anything whose references lead into its own components. */
export interface Source {
  components?: Record<string, Record<string, unknown>>;
}

export interface Document extends Source {
  info: { title: string; version: string; description?: string };
  tags?: { name: string; description?: string }[];
  paths: Record<string, Record<string, unknown>>;
}

/** As much of AsyncAPI 3 as that needs. */
export interface Frames extends Source {
  operations: Record<string, { action: "send" | "receive"; messages: { $ref: string }[] }>;
}

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options"];

/** Follows `#/components/…`; what points nowhere is given back as it is. */
export function resolve<T extends { $ref?: string }>(from: Source, value: T): T {
  let found: unknown = value;
  for (let hops = 0; hops < 8 && (found as T)?.$ref; hops++) {
    const keys = ((found as T).$ref ?? "").replace(/^#\//, "").split("/");
    const target = keys.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key.replace(/~1/g, "/").replace(/~0/g, "~")], from);
    if (!target) break;
    found = target;
  }
  return found as T;
}

/** All operations by tag, in the document's order. */
export function operations(from: Document): Map<string, Operation[]> {
  const groups = new Map<string, Operation[]>((from.tags ?? []).map(({ name }) => [name, []]));
  for (const [path, item] of Object.entries(from.paths)) {
    for (const method of METHODS) {
      const said = item[method] as Omit<Operation, "method" | "path"> | undefined;
      if (!said) continue;
      const parameters = [...((item.parameters as Parameter[]) ?? []), ...(said.parameters ?? [])];
      const tag = said.tags?.[0] ?? "Other";
      groups.set(tag, [...(groups.get(tag) ?? []), { ...said, parameters, method, path }]);
    }
  }
  return new Map([...groups].filter(([, all]) => all.length > 0));
}

/** The messages that a server sends or receives, by the type that they say. */
export function messages(from: Frames, action: "send" | "receive"): [string, Message][] {
  const all = Object.values(from.operations)
    .filter((one) => one.action === action)
    .flatMap((one) => one.messages);
  return all.map(({ $ref }) => {
    const message = from.components?.messages?.[$ref.split("/").at(-1) ?? ""] as Message;
    return [String(message.payload.properties?.type?.const), message];
  });
}

/** The last part of a reference: the name by which people know it. */
export const nameOf = (schema: Schema): string => schema.$ref?.split("/").at(-1) ?? "";

/** A schema in a few words: `string or null`, `array of Event`, `"a" | "b"`. */
export function words(schema: Schema | undefined): string {
  if (!schema) return "anything";
  if (schema.$ref) return nameOf(schema);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return choices.map(words).join(" | ");
  if (schema.allOf) return schema.allOf.map(words).join(" & ");
  const types = [schema.type ?? (schema.properties ? "object" : "anything")].flat();
  return types.map((type) => (type === "array" ? `array of ${words(schema.items)}` : type === "string" && schema.format ? schema.format : type)).join(" or ");
}

/** The schema whose fields are worth showing: through references, arrays, and the one choice that has any. */
export function inside(from: Source, schema: Schema | undefined): Schema | null {
  if (!schema) return null;
  const found = resolve(from, schema);
  if (found.items) return inside(from, found.items);
  if (found.properties) return found;
  if (found.allOf) {
    const parts = found.allOf.map((part) => inside(from, part)).filter((part) => part !== null);
    const fields = parts.map(({ properties }) => properties ?? {});
    return parts.length > 0 ? { properties: Object.assign({}, ...fields), required: parts.flatMap(({ required }) => required ?? []) } : null;
  }
  // One of a kind or an array of it is still that kind.
  const choices = new Set((found.oneOf ?? found.anyOf ?? []).map((choice) => inside(from, choice)).filter((choice) => choice !== null));
  return choices.size === 1 ? ([...choices][0] ?? null) : null;
}

/** A command that asks for it: everything that must be there, in capitals. */
export function curl({ method, path, requestBody }: Operation, origin: string): string {
  const address = origin + path.replace(/\{\*?(\w+)\}/g, (_, name: string) => name.toUpperCase());
  const json = requestBody?.content?.["application/json"];
  const parts = [`curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} '${address}'`, "-H 'Authorization: Bearer TOKEN'"];
  if (json) parts.push("-H 'Content-Type: application/json'", `-d '${json.example === undefined ? "{}" : JSON.stringify(json.example)}'`);
  return parts.join(" \\\n  ");
}
