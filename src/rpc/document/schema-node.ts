// The shape of the document at one of its places: which keys there are, and what kind of value it wants. Read from the schema itself, so
// that nothing is listed twice.
import type { z } from "zod";
import { rpcDocument } from "./document.ts";

export type Path = readonly string[];

export interface SchemaNode {
  readonly kind: "section" | "map" | "list" | "number" | "switch" | "text" | "other";
  /** Of a section. */
  readonly keys: readonly string[];
  readonly at: (key: string) => SchemaNode | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: the inside of a schema is looked at field by field
type Inside = any;

const KINDS: Readonly<Record<string, SchemaNode["kind"]>> = {
  array: "list",
  number: "number",
  boolean: "switch",
  string: "text",
  enum: "text",
};

function nodeOf(schema: z.ZodType): SchemaNode {
  const { def } = schema as Inside;
  if (def.innerType !== undefined) return nodeOf(def.innerType);
  if (def.type === "object")
    return {
      kind: "section",
      keys: Object.keys(def.shape),
      at: (key) => (Object.hasOwn(def.shape, key) ? nodeOf(def.shape[key]) : undefined),
    };
  if (def.type === "record") return { kind: "map", keys: [], at: () => nodeOf(def.valueType) };
  if (def.type === "array") return { kind: "list", keys: [], at: () => nodeOf(def.element) };
  return { kind: KINDS[def.type as string] ?? "other", keys: [], at: () => undefined };
}

const root = nodeOf(rpcDocument);

/** Undefined where the document has no such place. */
export function nodeAt(path: readonly PropertyKey[]): SchemaNode | undefined {
  let node: SchemaNode | undefined = root;
  for (const key of path) node = node?.at(String(key));
  return node;
}

/** Every place that has a name, dotted. */
export function allPlaces(): readonly string[] {
  const found: string[] = [];
  const visit = (node: SchemaNode, above: string) => {
    for (const key of node.keys) {
      found.push(`${above}${key}`);
      const below = node.at(key);
      if (below !== undefined) visit(below, `${above}${key}.`);
    }
  };
  visit(root, "");
  return found;
}
