// The language of the recordings: `{{ms}}`, `{{uuid:1}}`, `{{SESSION_A}}` and their like stand for what differs between two runs. Everything
// else must be equal: the same keys, the same order in lists. What differs is told by its path, in words.

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** A clock near ours: the hub runs on the same machine. */
const NEAR_MS = 10 * 60_000;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const isText = (value: unknown): value is string => typeof value === "string" && value !== "";
const isTexts = (value: unknown) => Array.isArray(value) && value.every((entry) => typeof entry === "string");

/** What a placeholder of a type admits. */
const TYPES: Readonly<Record<string, (value: Json) => boolean>> = {
  ms: (value) => Number.isInteger(value) && Math.abs(Number(value) - Date.now()) < NEAR_MS,
  int: (value) => Number.isInteger(value),
  number: (value) => Number.isFinite(value),
  bool: (value) => typeof value === "boolean",
  str: (value) => typeof value === "string",
  sseId: isText,
  uuid: (value) => isText(value) && UUID.test(value),
  "engine-sid": isText,
  "socket-id": isText,
  html: (value) => isText(value) && /^\s*<!doctype html/i.test(value),
  issues: (value) => {
    if (!isObject(value) || Object.keys(value).sort().join() !== "fieldErrors,formErrors") return false;
    return (
      isTexts(value.formErrors) &&
      isObject(value.fieldErrors) &&
      Object.values(value.fieldErrors).every(isTexts)
    );
  },
};

/** Named values: `{{SESSION_A}}`, `{{machine:M1}}` last for the run, `{{uuid:1}}` for one entry. */
export class Names {
  readonly #run = new Map<string, Json>();
  readonly #entry = new Map<string, Json>();

  /** @param surplus keys that may stand anywhere beside the expected ones, with these values */
  constructor(readonly surplus: Readonly<Record<string, Json>> = {}) {}

  /** A new entry: its own names are free again. */
  beginEntry(): void {
    this.#entry.clear();
  }

  set(name: string, value: Json): void {
    (isOfEntry(name) ? this.#entry : this.#run).set(name, value);
  }

  get(name: string): Json | undefined {
    return (isOfEntry(name) ? this.#entry : this.#run).get(name);
  }
}

const isOfEntry = (name: string) => /^uuid:\d+$/.test(name);
/** Bound by what is seen first: it must be a UUID. */
const bindsItself = (name: string) => /^(uuid|session):\w+$/.test(name);

export function isObject(value: unknown): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const whole = (text: string): string | undefined => /^\{\{([^{}]+)\}\}$/.exec(text)?.[1];

/** Every placeholder in a template, wherever it stands. */
export const placeholdersOf = (template: Json): string[] => [
  ...new Set([...JSON.stringify(template).matchAll(/\{\{([^{}]+)\}\}/g)].map((found) => found[1] ?? "")),
];

/** Whether this language has a meaning for it. */
export const isKnown = (name: string): boolean =>
  Object.hasOwn(TYPES, name) ||
  bindsItself(name) ||
  /^(now|params(\.\w+)?|echo|jwt|machine:\w+|[A-Z][A-Z_]*)$/.test(name) ||
  name.startsWith("list of ");

/** A template made into something to send. @throws Error for a name that stands for nothing yet. */
export function fill(template: Json, names: Names): Json {
  if (Array.isArray(template)) return template.map((part) => fill(part, names));
  if (isObject(template))
    return Object.fromEntries(
      Object.entries(template).map(([key, part]) => [fillText(key, names), fill(part, names)]),
    );
  if (typeof template !== "string") return template;
  const name = whole(template);
  return name === undefined ? fillText(template, names) : standsFor(name, names);
}

/** The same for a text: names within it are replaced. */
export function fillText(template: string, names: Names): string {
  return template.replace(/\{\{([^{}]+)\}\}/g, (_, name: string) => `${standsFor(name, names)}`);
}

function standsFor(name: string, names: Names): Json {
  const value = names.get(name);
  if (value !== undefined) return value;
  if (name === "now" || name === "ms") return Date.now();
  if (name === "int") return 4242;
  if (name === "number") return 2;
  if (isOfEntry(name)) {
    const made = crypto.randomUUID();
    names.set(name, made);
    return made;
  }
  throw new Error(`{{${name}}} stands for nothing yet`);
}

/** @returns what differs, a line each; none when `actual` is what the template describes. */
export function differences(expected: Json, actual: Json | undefined, names: Names, path = ""): string[] {
  if (actual === undefined) return [`${path}: missing, expected ${show(expected)}`];
  if (typeof expected === "string") return textDifferences(expected, actual, names, path);
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual)) return [`${path}: expected a list, got ${show(actual)}`];
    const inside = expected.flatMap((part, index) =>
      differences(part, actual[index], names, `${path}[${index}]`),
    );
    const more = actual
      .slice(expected.length)
      .map((part, index) => `${path}[${expected.length + index}]: not expected, got ${show(part)}`);
    return [...inside, ...more];
  }
  if (isObject(expected)) {
    if (!isObject(actual)) return [`${path}: expected ${show(expected)}, got ${show(actual)}`];
    const filled = Object.entries(expected).map(([key, part]) => [fillText(key, names), part] as const);
    const inside = filled.flatMap(([key, part]) =>
      differences(part, actual[key], names, path === "" ? key : `${path}.${key}`),
    );
    const keys = new Set(filled.map(([key]) => key));
    const more = Object.keys(actual)
      .filter((key) => !keys.has(key) && !(key in names.surplus && names.surplus[key] === actual[key]))
      .map(
        (key) => `${path === "" ? key : `${path}.${key}`}: not expected, got ${show(actual[key] ?? null)}`,
      );
    return [...inside, ...more];
  }
  return expected === actual ? [] : [`${path}: expected ${show(expected)}, got ${show(actual)}`];
}

function textDifferences(expected: string, actual: Json, names: Names, path: string): string[] {
  const wrong = (what: string) => [`${path}: expected ${what}, got ${show(actual)}`];
  const name = whole(expected);
  if (name === undefined) {
    const text = placeholdersOf(expected).every((inner) => names.get(inner) !== undefined)
      ? fillText(expected, names)
      : expected;
    // JSON in a text: the order of its keys has no meaning.
    const [inner, seen] = [parsed(text), parsed(actual)];
    if (inner !== undefined && seen !== undefined) return differences(inner, seen, names, `${path}(JSON)`);
    return text === actual ? [] : wrong(show(text));
  }
  const type = TYPES[name];
  if (type !== undefined) return type(actual) ? [] : wrong(expected);
  const value = names.get(name);
  if (value !== undefined) {
    if (typeof value === "object") return differences(value, actual, names, path);
    return value === actual ? [] : wrong(`${show(value)} (${expected})`);
  }
  if (!bindsItself(name)) return wrong(`${expected}, which was never captured`);
  if (!TYPES.uuid?.(actual)) return wrong(`a UUID (${expected})`);
  names.set(name, actual);
  return [];
}

/** An object or a list in a text; undefined for any other text. */
function parsed(text: Json): Json | undefined {
  if (typeof text !== "string" || !/^[[{]/.test(text)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `page.nextBeforeAt`, `sse.0.id`: what stands there. */
export function at(value: Json | undefined, path: string): Json | undefined {
  let found = value;
  for (const key of path.split(".")) {
    if (Array.isArray(found)) found = found[Number(key)];
    else found = isObject(found) ? found[key] : undefined;
  }
  return found;
}

export function show(value: Json): string {
  const text = JSON.stringify(value);
  return text.length > 300 ? `${text.slice(0, 300)}... (${text.length} characters)` : text;
}

/** JSON, or the text itself. */
export function parseOr(text: Json): Json {
  if (typeof text !== "string") return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
