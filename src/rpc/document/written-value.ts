// A value that was written as text, as in a variable of the environment, in the kind that its place in the document wants. What does not
// fit stays text: the schema then says what is wrong with it.
import type { SchemaNode } from "./schema-node.ts";

export function writtenValue(text: string, node: SchemaNode | undefined): unknown {
  const trimmed = text.trim();
  switch (node?.kind) {
    case "text":
      return text;
    case "number":
      return asNumber(trimmed) ?? text;
    case "switch":
      return asSwitch(trimmed) ?? text;
    case "list":
      if (trimmed.startsWith("[")) return asJson(trimmed) ?? text;
      return trimmed === "" ? [] : trimmed.split(",").map((entry) => entry.trim());
    case "section":
    case "map":
      return asJson(trimmed) ?? text;
    default:
      return asNumber(trimmed) ?? (/^(true|false)$/.test(trimmed) ? trimmed === "true" : text);
  }
}

const asNumber = (text: string): number | undefined =>
  /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : undefined;

function asSwitch(text: string): boolean | undefined {
  if (/^(true|1|yes|on)$/i.test(text)) return true;
  return /^(false|0|no|off)$/i.test(text) ? false : undefined;
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
