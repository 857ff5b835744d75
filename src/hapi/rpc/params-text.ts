// Parameters of a call as CLIs get them: a JSON string whose content is JSON (hapi-socket 11). A file of 50 MiB in them is neither escaped
// twice nor copied for it: the text is put together around it.
import { JsonText } from "../../server/json-text.ts";
import { isObject } from "../wire/shape.ts";

const LARGE = 256 * 1024;
/** What JSON writes as it is, within a string within a string as well. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;

export const isBase64 = (text: string): boolean => BASE64.test(text);

/** Members that are undefined are left out. */
export function paramsText(params: unknown = {}): string | JsonText {
  const large = isObject(params) ? largeMember(params) : undefined;
  if (large === undefined) return JSON.stringify(params);
  const [key, text] = large;
  const mark = crypto.randomUUID();
  const around = JSON.stringify(JSON.stringify({ ...(params as object), [key]: mark }));
  const at = around.indexOf(mark);
  const [before, after] = [around.slice(0, at), around.slice(at + mark.length)];
  return new JsonText(`${before}${text}${after}`, Buffer.byteLength(before + after) + text.length);
}

function largeMember(params: Readonly<Record<string, unknown>>): readonly [string, string] | undefined {
  for (const [key, value] of Object.entries(params))
    if (typeof value === "string" && value.length >= LARGE && isBase64(value)) return [key, value];
  return undefined;
}
