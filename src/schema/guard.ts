// JSON schema -> what judges documents. A document stays as it came: nothing is converted, no default is filled in. Judging ends with the
// first problem, so that a long list of wrong items costs no more than one.
import type { Ajv, ErrorObject, ValidateFunction } from "ajv";
import { z } from "zod";
import { enforceable, FORMATS, type JsonSchema } from "./json-schema.ts";

export interface Refusal {
  /** Of the first thing that is wrong, within the document. */
  readonly path: readonly string[];
  readonly message: string;
}

/** Undefined for a document that the schema accepts. */
export type Guard = (document: unknown) => Refusal | undefined;

/**
 * Loads what compiles schemas: only for a server that has some.
 * @returns what gives a schema's guard. @throws Error whose message is a sentence about the schema.
 */
export async function loadGuards(): Promise<(schema: JsonSchema) => Guard> {
  const { Ajv2020 } = await import("ajv/dist/2020.js");
  const ajv = new Ajv2020({
    // A word that does nothing is refused, as `enforceable` does; types were looked at there.
    strict: true,
    strictTypes: false,
    strictTuples: false,
    strictRequired: false,
    allowMatchingProperties: true,
    ownProperties: true,
    // Decimal fractions are multiples of decimal fractions, whatever binary arithmetic says.
    multipleOfPrecision: 10,
    // Patterns are read as the language reads them without flags: a needless escape is none too many.
    unicodeRegExp: false,
    // Two may be the same.
    addUsedSchema: false,
    logger: false,
  });
  for (const format of FORMATS) ajv.addFormat(format, { validate: formatCheck(format) });
  return (schema) => {
    const words = enforceable(schema);
    const isValid = compiled(ajv, words);
    // The last error is the outermost: of alternatives, that none fits.
    return (document) => (isValid(document) ? undefined : refusalOf(isValid.errors?.at(-1)));
  };
}

function formatCheck(format: string): (text: string) => boolean {
  const check = z.fromJSONSchema({ type: "string", format });
  return (text) => check.safeParse(text).success;
}

function compiled(ajv: Ajv, schema: JsonSchema): ValidateFunction {
  try {
    return ajv.compile(schema);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const reason = "missingRef" in error ? `Reference not found: ${error.missingRef}` : error.message;
    throw new Error(`its schema cannot be used: ${reason}`);
  }
}

/** Where a property lacks or is too many, it is the place. */
function refusalOf(error: ErrorObject | undefined): Refusal {
  const { instancePath = "", params = {}, message = "not valid" } = error ?? {};
  const path = instancePath
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
  const { missingProperty, additionalProperty } = params as Record<string, unknown>;
  if (typeof missingProperty === "string") return { path: [...path, missingProperty], message: "required" };
  if (typeof additionalProperty === "string")
    return { path: [...path, additionalProperty], message: "no such property" };
  return { path, message };
}
