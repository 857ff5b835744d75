// One document from what all providers say, or sentences that name each place that is wrong and who wrote it. A value is never repeated: it
// may be a secret.
import type { z } from "zod";
import { nearest } from "../../config/usage.ts";
import { type Fields, isFields } from "../wire/problems.ts";
import { ORIGINAL_PLACES } from "./aliases.ts";
import { type RpcDocument, rpcDocument } from "./document.ts";
import { merged } from "./given.ts";
import { allPlaces, nodeAt } from "./schema-node.ts";

/** One sentence for each mistake. */
class DocumentError extends Error {}

export interface Layer {
  /** Of its provider. */
  readonly name: string;
  readonly fields: Fields;
}

const MAX_SENTENCES = 8;

/** The later layer wins. @throws DocumentError */
export function checked(layers: readonly Layer[]): RpcDocument {
  const all = layers.reduce<Fields>((below, { fields }) => merged(below, fields), {});
  const result = rpcDocument.safeParse(all);
  if (result.success) return result.data;
  const sentences = result.error.issues.flatMap((issue) => sentencesOf(issue, layers));
  const more = sentences.length - MAX_SENTENCES;
  const shown = sentences.slice(0, MAX_SENTENCES).join("; ");
  throw new DocumentError(more > 0 ? `${shown}; and ${more} more` : shown);
}

function sentencesOf(issue: z.core.$ZodIssue, layers: readonly Layer[]): string[] {
  if (issue.code === "unrecognized_keys")
    return issue.keys.flatMap((key) => unknown([...issue.path, key], layers));
  return [`${writer(issue.path, layers)}${issue.path.join(".")}: ${issue.message}`];
}

function unknown(path: readonly PropertyKey[], layers: readonly Layer[]): string[] {
  const place = path.join(".");
  const from = layers.findLast(({ fields }) => at(fields, path) !== undefined);
  const inside = from && at(from.fields, path);
  // Of a section of the original what is left over was mistyped.
  if (isFields(inside) && ORIGINAL_PLACES.some((known) => known.startsWith(`${place}.`)))
    return Object.keys(inside).flatMap((key) => unknown([...path, key], layers));
  return [`${writer(path, layers)}there is no ${place}. Did you mean ${suggestion(path)}?`];
}

/** The same word elsewhere, else the nearest beside it. */
function suggestion(path: readonly PropertyKey[]): string {
  const word = String(path.at(-1));
  const places = allPlaces();
  const elsewhere = places.find((place) => place.split(".").at(-1) === word);
  if (elsewhere !== undefined) return elsewhere;
  const above = path.slice(0, -1).map(String);
  const prefix = above.map((key) => `${key}.`).join("");
  const beside = [
    ...(nodeAt(above)?.keys ?? []),
    ...ORIGINAL_PLACES.filter((place) => place.startsWith(prefix)).map((place) => place.slice(prefix.length)),
  ];
  return beside.length > 0 ? `${prefix}${nearest(word, beside)}` : nearest(path.join("."), places);
}

function writer(path: readonly PropertyKey[], layers: readonly Layer[]): string {
  const name = layers.findLast(({ fields }) => at(fields, path) !== undefined)?.name;
  return name === undefined ? "" : `${name}: `;
}

/** Of a list as a whole. */
function at(fields: Fields, path: readonly PropertyKey[]): unknown {
  let value: unknown = fields;
  for (const key of path) {
    if (Array.isArray(value)) return value;
    if (!isFields(value) || !Object.hasOwn(value, String(key))) return undefined;
    value = value[String(key)];
  }
  return value;
}
