import { expect, it } from "vitest";
import { curl, type Document, inside, operations, resolve, words } from "../src/openapi.ts";

const document: Document = {
  info: { title: "T", version: "1" },
  tags: [{ name: "b" }, { name: "a" }],
  paths: {
    "/v1/x/{id}": {
      parameters: [{ name: "id", in: "path" }],
      get: { tags: ["a"], parameters: [{ $ref: "#/components/parameters/Limit" }] },
      post: { tags: ["b"], requestBody: { content: { "application/json": { example: { a: 1 } } } } },
    },
    "/livez": { get: {} },
  },
  components: {
    parameters: { Limit: { name: "limit", in: "query" } },
    schemas: { Node: { type: "object", properties: { next: { $ref: "#/components/schemas/Node" } } } },
  },
};

it("groups operations by tag, in the document's order, with the parameters of their path", () => {
  const groups = operations(document);
  expect([...groups].map(([tag, all]) => [tag, all.map(({ method, path }) => `${method} ${path}`)])).toEqual([
    ["b", ["post /v1/x/{id}"]],
    ["a", ["get /v1/x/{id}"]],
    ["Other", ["get /livez"]],
  ]);
  const [id, limit] = groups.get("a")?.[0]?.parameters ?? [];
  expect([id?.name, limit && resolve(document, limit).name]).toEqual(["id", "limit"]);
});

it("says a schema in a few words and finds its fields", () => {
  expect(words({ type: ["string", "null"] })).toBe("string or null");
  expect(words({ type: "array", items: { $ref: "#/components/schemas/Node" } })).toBe("array of Node");
  expect(words({ oneOf: [{ const: "a" }, { type: "integer" }] })).toBe('"a" | integer');
  const node = { $ref: "#/components/schemas/Node" };
  expect(inside(document, { oneOf: [node, { type: "array", items: node }] })).toBe(document.components?.schemas?.Node);
  expect(Object.keys(inside(document, { type: "array", items: { $ref: "#/components/schemas/Node" } })?.properties ?? {})).toEqual(["next"]);
});

it("makes a command that can be pasted", () => {
  const [post] = operations(document).get("b") ?? [];
  expect(post && curl(post, "http://h")).toBe(
    "curl -X POST 'http://h/v1/x/ID' \\\n  -H 'Authorization: Bearer TOKEN' \\\n  -H 'Content-Type: application/json' \\\n  -d '{\"a\":1}'",
  );
});
