import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { foldRow } from "../src/fold-lists.ts";
import type { EventFrame, Json } from "../src/index.ts";

interface Vector {
  name: string;
  entity: Parameters<typeof foldRow>[0];
  id: string;
  state: Json | null;
  event: { type: string; id: string; data: Json; at: number };
  recorded: number;
  result: Json | null;
}

const FOLDER = new URL("../../../../tests/vectors/fold/", import.meta.url);

describe.each(readdirSync(FOLDER))("the vectors of %s", (file) => {
  const vectors = JSON.parse(readFileSync(new URL(file, FOLDER), "utf8")) as Vector[];
  it.each(vectors.map((vector) => [vector.name, vector] as const))("%s", (_, { entity, id, state, event, recorded, result }) => {
    const frame: EventFrame = { type: "event", channel: "x", position: "0-1", event: event.type, id: event.id, data: event.data, at: event.at, recorded };
    expect(foldRow(entity, id, state, frame)).toEqual(result);
  });
});
