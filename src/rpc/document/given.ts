// What a provider wrote, made into a map of keys: YAML or JSON read, variables put in where they may be, the key `aduib_rpc` opened.
import { parseDocument } from "yaml";
import { type Fields, isFields } from "../wire/problems.ts";
import { MAX_DOCUMENT_BYTES, type ProviderHooks } from "./provider.ts";
import { nodeAt } from "./schema-node.ts";
import { writtenValue } from "./written-value.ts";

/** The original's own key around everything. */
const AROUND = "aduib_rpc";
/** Of keys in keys; nothing that counts lies deeper. */
const MAX_DEPTH = 32;

/** Undefined for a text that says nothing at all. @throws Error with a sentence, without the text. */
export function readText(bytes: Uint8Array): unknown {
  if (bytes.byteLength > MAX_DOCUMENT_BYTES) throw new Error(`it has more than ${MAX_DOCUMENT_BYTES} bytes`);
  const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  const document = parseDocument(text, { prettyErrors: false });
  const [error] = document.errors;
  if (error !== undefined) {
    const line = text.slice(0, error.pos[0]).split("\n").length;
    throw new Error(`line ${line}: ${plain(error.code)}`);
  }
  return document.toJS({ maxAliasCount: 100 }) ?? undefined;
}

/** The reader's own sentence can hold a piece of the text, and that may be a secret. */
const plain = (code: string): string =>
  `it is neither YAML nor JSON (${code.toLowerCase().replaceAll("_", " ")})`;

/** What a network has of the document now, told on; or why it is none. */
export function tell(hooks: ProviderHooks, bytes: Uint8Array | undefined, gone: string): void {
  let given: unknown;
  try {
    if (bytes === undefined) throw new Error(`${gone}; what it said last stays`);
    given = readText(bytes);
    if (given === undefined) throw new Error("it is empty; what it said last stays");
  } catch (error) {
    hooks.failed(error instanceof Error ? error : new Error("it cannot be read"));
    return;
  }
  hooks.changed(given);
}

export interface GivenOptions {
  /** Values may name variables, as `${NAME}` and `${NAME:-default}`: only where whoever writes it owns this machine's environment. */
  readonly variables?: Readonly<Record<string, string | undefined>> | undefined;
}

/** @throws Error with a sentence. */
export function givenFields(value: unknown, { variables }: GivenOptions = {}): Fields {
  if (value === undefined || value === null) return {};
  if (!isFields(value) || value instanceof Date) throw new Error("it must consist of keys and values");
  return cleaned(opened(value), [], variables) as Fields;
}

function opened(value: Fields): Fields {
  if (!Object.hasOwn(value, AROUND)) return value;
  const { [AROUND]: inside, ...beside } = value;
  if (inside !== null && inside !== undefined && !isFields(inside))
    throw new Error(`${AROUND} must consist of keys and values`);
  return merged(inside ?? {}, beside);
}

/** Nulls are absent keys, variables are put in, and no key means something to the language itself. */
function cleaned(value: unknown, path: readonly string[], variables: GivenOptions["variables"]): unknown {
  if (path.length > MAX_DEPTH) throw new Error(`${path.slice(0, 3).join(".")} is nested too deeply`);
  if (typeof value === "string") return variables === undefined ? value : expanded(value, path, variables);
  if (Array.isArray(value))
    return value.map((item, index) => cleaned(item, [...path, String(index)], variables));
  if (!isFields(value)) return value;
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    if (key === "__proto__") throw new Error("it has a key __proto__");
    if (item !== null && item !== undefined) copy[key] = cleaned(item, [...path, key], variables);
  }
  return copy;
}

const VARIABLE = /\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}/g;

/** An empty variable counts as unset. */
function expanded(
  text: string,
  path: readonly string[],
  variables: Readonly<Record<string, string | undefined>>,
): unknown {
  let isAny = false;
  const result = text.replace(VARIABLE, (_all, name: string, standard: string | undefined) => {
    isAny = true;
    const value = variables[name] || standard;
    if (value === undefined)
      throw new Error(`${path.join(".")} names the variable ${name}, which is not set`);
    return value;
  });
  return isAny ? writtenValue(result, nodeAt(path)) : text;
}

/** Maps are merged key by key; of everything else the later one counts. */
export function merged(below: Fields, above: Fields): Fields {
  const all: Record<string, unknown> = { ...below };
  for (const [key, value] of Object.entries(above)) {
    const under = all[key];
    all[key] = isFields(value) && isFields(under) ? merged(under, value) : value;
  }
  return all;
}
