// The one parser of method names, for every transport (contract 4): `rpc.v2/<service>/<handler>`, nothing repaired but blanks at both ends
// and one leading slash.

export interface MethodName {
  readonly full: string;
  readonly service: string;
  readonly handler: string;
}

export const METHOD_PREFIX = "rpc.v2/";
const MAX_METHOD = 256;

const PART = "[A-Za-z][A-Za-z0-9_]*(?:\\.[A-Za-z][A-Za-z0-9_]*)*";
const METHOD = new RegExp(`^rpc\\.v2/(${PART})/(${PART})$`);

/** Undefined for whatever is no v2 method. */
export function methodName(text: string): MethodName | undefined {
  const trimmed = text.replace(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, "");
  const full = trimmed.startsWith("/") ? trimmed.slice(1) : trimmed;
  if (full.length > MAX_METHOD) return undefined;
  const [, service, handler] = METHOD.exec(full) ?? [];
  return service === undefined || handler === undefined ? undefined : { full, service, handler };
}
