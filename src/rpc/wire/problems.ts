// What is wrong with a message, collected: one detail a problem, at most twenty. Wrong shapes make it an invalid message (1002); where
// every shape is right, values out of range are told (2003).
import { type DetailName, detail, type ErrorDetail, MAX_DETAILS, RpcError } from "./rpc-error.ts";

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);

export class Problems {
  readonly #shape: ErrorDetail[] = [];
  readonly #values: ErrorDetail[] = [];

  /** Of the wrong type, missing, or above a limit of the envelope. */
  shape(field: string, reason: string, name: DetailName = "InvalidField"): undefined {
    if (this.#shape.length < MAX_DETAILS) this.#shape.push(detail(name, reason, { field }));
    return undefined;
  }

  missing(field: string): undefined {
    return this.shape(field, "is required", "MissingField");
  }

  /** Of the right type, and not allowed. */
  value(field: string, reason: string, metadata?: Fields): undefined {
    if (this.#values.length < MAX_DETAILS)
      this.#values.push(
        detail("InvalidField", reason, metadata === undefined ? { field } : { field, metadata }),
      );
    return undefined;
  }

  error(): RpcError | undefined {
    if (this.#shape.length > 0) return new RpcError(1002, { details: this.#shape });
    return this.#values.length > 0 ? new RpcError(2003, { details: this.#values }) : undefined;
  }
}

/** A null means the same as an absent field (contract 3). */
export const absent = (value: unknown): value is null | undefined => value === undefined || value === null;

export const isSafeInteger = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value);

export interface TextBound {
  readonly min?: number;
  readonly max?: number;
}

/** Undefined where it is absent, or wrong, which is noted. */
export function textField(
  problems: Problems,
  from: Fields,
  key: string,
  path: string,
  { min = 0, max = Number.POSITIVE_INFINITY }: TextBound = {},
): string | undefined {
  const value = from[key];
  if (absent(value)) return undefined;
  if (typeof value !== "string") return problems.shape(path, "must be a string");
  if (value.length < min) return problems.shape(path, "must not be empty");
  if (value.length > max) return problems.shape(path, `must have at most ${max} characters`);
  return value;
}

export function objectField(problems: Problems, from: Fields, key: string, path: string): Fields | undefined {
  const value = from[key];
  if (absent(value)) return undefined;
  return isFields(value) ? value : problems.shape(path, "must be an object");
}

export interface ListBound {
  readonly items: number;
  readonly chars: number;
}

export function textList(
  problems: Problems,
  from: Fields,
  key: string,
  path: string,
  bound: ListBound,
): readonly string[] | undefined {
  const value = from[key];
  if (absent(value)) return undefined;
  if (!Array.isArray(value)) return problems.shape(path, "must be a list of strings");
  if (value.length > bound.items) return problems.shape(path, `must have at most ${bound.items} entries`);
  const wrong = value.findIndex((item) => typeof item !== "string" || item.length > bound.chars);
  if (wrong >= 0)
    return problems.shape(`${path}.${wrong}`, `must be a string of at most ${bound.chars} characters`);
  return value as readonly string[];
}

export interface MapBound {
  readonly entries: number;
  readonly key: number;
  readonly value: number;
}

export function textMap(
  problems: Problems,
  from: Fields,
  key: string,
  path: string,
  bound: MapBound,
): Readonly<Record<string, string>> | undefined {
  const map = objectField(problems, from, key, path);
  if (map === undefined) return undefined;
  let entries = 0;
  for (const name in map) {
    const value = map[name];
    if (++entries > bound.entries) return problems.shape(path, `must have at most ${bound.entries} entries`);
    if (name.length > bound.key) return problems.shape(path, `a key has more than ${bound.key} characters`);
    if (typeof value !== "string") return problems.shape(`${path}.${name}`, "must be a string");
    if (value.length > bound.value)
      return problems.shape(`${path}.${name}`, `must have at most ${bound.value} characters`);
  }
  return map as Readonly<Record<string, string>>;
}
