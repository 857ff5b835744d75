// In which format and compression a body is read and an answer is written (contract 11.1 to 11.3). What the envelope says of it comes
// before HTTP's own headers; both are asked before the envelope is checked, so that also its refusal has a form that its client reads.
import type { Compression, ContentType, RpcDocument } from "../document/document.ts";
import type { HeaderSource } from "../pipeline/incoming.ts";
import { absent, isFields } from "../wire/problems.ts";
import { type RpcError, rpcError } from "../wire/rpc-error.ts";
import { type Weighted, weightedList } from "./weighted.ts";

const NAMES: ReadonlyMap<string, ContentType> = new Map([
  ["application/json", "application/json"],
  ["text/json", "application/json"],
  ["application/msgpack", "application/msgpack"],
  ["application/x-msgpack", "application/msgpack"],
  ["application/vnd.msgpack", "application/msgpack"],
  ["application/protobuf", "application/protobuf"],
  ["application/x-protobuf", "application/protobuf"],
  ["application/vnd.google.protobuf", "application/protobuf"],
  ["application/avro", "application/avro"],
  ["avro/binary", "application/avro"],
]);

const CHARSET = /;\s*charset\s*=\s*"?([^";\s]*)"?/i;

/** Without its parameters. */
const mediaType = (text: string): string => (text.split(";", 1)[0] ?? "").trim().toLowerCase();

/** Of a request's body. @throws RpcError 1003 */
export function requestFormat(header: string | null, { protocol }: RpcDocument): ContentType {
  if (header === null || header === "" || header === "application/json")
    return (
      enabled("application/json", protocol.content_types) ??
      refuseType(header ?? "application/json", protocol.content_types)
    );
  const name = mediaType(header);
  const type = name === "" ? "application/json" : NAMES.get(name);
  if (type === undefined || !protocol.content_types.includes(type))
    return refuseType(name, protocol.content_types);
  const charset = CHARSET.exec(header)?.[1]?.toLowerCase();
  if (type === "application/json" && charset !== undefined && charset !== "utf-8" && charset !== "utf8")
    throw rpcError(1003, "UnsupportedContentType", "JSON is UTF-8", { metadata: { charset } });
  return type;
}

/** An envelope that says to be in another format than the one that its body was read in. */
export function otherFormat(message: unknown, read: ContentType): RpcError | undefined {
  const metadata = isFields(message) && isFields(message.metadata) ? message.metadata : undefined;
  const told = metadata?.content_type;
  // What is no text has a wrong shape, which reading the envelope tells.
  if (typeof told !== "string" || NAMES.get(mediaType(told)) === read) return undefined;
  return rpcError(1003, "UnsupportedContentType", "the body is in another format", {
    field: "metadata.content_type",
    metadata: { told: told.slice(0, 256), read },
  });
}

function refuseType(requested: string, supported: readonly ContentType[]): never {
  throw rpcError(
    1003,
    "UnsupportedContentType",
    "the type of the body is not served: send a supported one and name it in Content-Type",
    {
      metadata: { requested: requested.slice(0, 256), supported },
    },
  );
}

const enabled = <T>(one: T, list: readonly T[]): T | undefined => (list.includes(one) ? one : undefined);

export interface AnswerForm {
  readonly format: ContentType;
  /** Undefined: as it is. */
  readonly compression: Compression | undefined;
}

/** What is refused has a form all the same. */
export type AskedForm = AnswerForm & { readonly refused?: RpcError };

/** The simplest, which everybody reads. */
export const PLAIN: AnswerForm = { format: "application/json", compression: undefined };

/** What the envelope wishes, as far as it was decoded; checked no further than this. */
function wishes(message: unknown): { readonly accept: unknown; readonly compression: unknown } {
  const metadata = isFields(message) && isFields(message.metadata) ? message.metadata : undefined;
  return { accept: metadata?.accept, compression: metadata?.compression };
}

/** `format`: what is chosen of what the envelope accepts. */
function formOf(
  message: unknown,
  headers: HeaderSource,
  config: RpcDocument,
  format: (accept: unknown) => ContentType,
): AskedForm {
  const { accept, compression } = wishes(message);
  try {
    return {
      format: format(accept),
      compression: answerCompression(compression, headers.get("accept-encoding"), config),
    };
  } catch (refused) {
    return { ...PLAIN, refused: refused as RpcError };
  }
}

/** Of a whole answer. `read`: the format of the request, where it could be told. */
export const answerForm = (
  message: unknown,
  headers: HeaderSource,
  read: ContentType | undefined,
  config: RpcDocument,
): AskedForm =>
  formOf(message, headers, config, (accept) =>
    absent(accept)
      ? byAccept(headers.get("accept"), read ?? "application/json", config)
      : byEnvelope(accept, config),
  );

/** Of an answer that is JSON whatever the client would like; only its compression is asked. `wished`: of the envelope, where there is one. */
export const jsonForm = (wished: unknown, headers: HeaderSource, config: RpcDocument): AskedForm =>
  formOf(wished, headers, config, () => "application/json");

/**
 * Of a stream, whose frames are JSON in any case: only a refusal before it has the form. What admits no frames is refused (contract 11.2).
 */
export const streamAnswerForm = (
  message: unknown,
  headers: HeaderSource,
  read: ContentType | undefined,
  config: RpcDocument,
): AskedForm =>
  formOf(message, headers, config, (accept) => {
    if (absent(accept)) return streamByAccept(headers.get("accept"), read ?? "application/json", config);
    const format = byEnvelope(accept, config);
    if ((accept as readonly unknown[]).includes("application/json")) return format;
    throw notAcceptable("metadata.accept", accept as unknown[], ["application/json"]);
  });

const EVENTS = "text/event-stream";
/** Any of them lets frames through; what is excluded by name is not let in again by a wildcard. */
const ADMITS_FRAMES = new Set([EVENTS, "text/*", "*/*", "application/*", "application/json", "text/json"]);

function streamByAccept(header: string | null, read: ContentType, config: RpcDocument): ContentType {
  if (header === null || header === "" || header === "*/*" || header === EVENTS)
    return enabled(read, config.protocol.content_types) ?? read;
  const asked = weightedList(header);
  const isExcluded = asked.some(({ name, weight }) => name === EVENTS && weight === 0);
  const admits = asked.some(
    ({ name, weight }) => weight > 0 && ADMITS_FRAMES.has(name) && !(isExcluded && name.endsWith("*")),
  );
  if (!admits) throw notAcceptable("header.accept", [header.slice(0, 256)], [EVENTS, "application/json"]);
  const bodies = asked.filter(({ name }) => name !== EVENTS && name !== "text/*");
  const chosen = bodies.find(
    ({ name, weight }) => weight > 0 && typeOf(name, asked, config.protocol.content_types) !== undefined,
  );
  return (
    (chosen && typeOf(chosen.name, asked, config.protocol.content_types)) ??
    enabled(read, config.protocol.content_types) ??
    read
  );
}

const MAX_ACCEPT = 16;

function byEnvelope(accept: unknown, { protocol }: RpcDocument): ContentType {
  if (!Array.isArray(accept) || accept.length > MAX_ACCEPT)
    throw rpcError(1002, "InvalidField", `must be a list of at most ${MAX_ACCEPT} formats`, {
      field: "metadata.accept",
    });
  const chosen = accept.find((name) => protocol.content_types.includes(name));
  if (chosen !== undefined) return chosen;
  throw notAcceptable("metadata.accept", accept, protocol.content_types);
}

function byAccept(header: string | null, read: ContentType, { protocol }: RpcDocument): ContentType {
  if (header === null || header === "" || header === "*/*")
    return enabled(read, protocol.content_types) ?? read;
  const asked = weightedList(header);
  const chosen = asked.find(
    ({ name, weight }) => weight > 0 && typeOf(name, asked, protocol.content_types) !== undefined,
  );
  const type = chosen && typeOf(chosen.name, asked, protocol.content_types);
  if (type !== undefined) return type;
  throw notAcceptable("header.accept", [header.slice(0, 256)], protocol.content_types);
}

function typeOf(
  name: string,
  asked: readonly Weighted[],
  served: readonly ContentType[],
): ContentType | undefined {
  const isExcluded = (type: ContentType) =>
    asked.some((entry) => entry.weight === 0 && NAMES.get(entry.name) === type);
  if (name === "*/*" || name === "application/*")
    return ["application/json" as const, ...served].find(
      (type) => served.includes(type) && !isExcluded(type),
    );
  const type = NAMES.get(name);
  return type !== undefined && served.includes(type) ? type : undefined;
}

function notAcceptable(field: string, accept: readonly unknown[], supported: readonly string[]): RpcError {
  return rpcError(1003, "NotAcceptable", "no format in common", { field, metadata: { accept, supported } });
}

/** On ties this server's order counts. */
const SERVER_ORDER: readonly Compression[] = ["zstd", "gzip", "lz4"];

function answerCompression(
  wished: unknown,
  header: string | null,
  { protocol }: RpcDocument,
): Compression | undefined {
  const served = protocol.compressions;
  if (!absent(wished)) {
    if (wished === "none") return undefined;
    const known = SERVER_ORDER.find((name) => name === wished);
    if (known === undefined)
      throw rpcError(2003, "InvalidField", "must be none, gzip, zstd or lz4", {
        field: "metadata.compression",
      });
    if (served.includes(known)) return known;
    throw rpcError(1004, "UnsupportedCompression", "is switched off", { metadata: { supported: served } });
  }
  if (header === null || header === "" || header === "identity") return undefined;
  const asked = weightedList(header);
  const weightOf = (name: string) =>
    asked.find((entry) => entry.name === name || (name === "gzip" && entry.name === "x-gzip"))?.weight ??
    asked.find((entry) => entry.name === "*")?.weight ??
    0;
  let best: Compression | undefined;
  for (const name of SERVER_ORDER)
    if (served.includes(name) && weightOf(name) > (best === undefined ? 0 : weightOf(best))) best = name;
  if (best === undefined && asked.some(({ name, weight }) => name === "identity" && weight === 0))
    throw rpcError(1004, "UnsupportedCompression", "no compression in common", {
      metadata: { supported: served },
    });
  return best;
}

/** Of a request's body; undefined for none. @throws RpcError 1004 */
export function requestCompression(
  header: string | null,
  { protocol }: RpcDocument,
): Compression | undefined {
  if (header === null || header === "") return undefined;
  const name = header.trim().toLowerCase();
  if (name === "identity") return undefined;
  const known = name === "x-gzip" ? "gzip" : SERVER_ORDER.find((one) => one === name);
  if (known !== undefined && protocol.compressions.includes(known)) return known;
  throw rpcError(
    1004,
    "UnsupportedCompression",
    "the compression of the body is not served: name a supported one in Content-Encoding",
    {
      metadata: { requested: name.slice(0, 256), supported: protocol.compressions },
    },
  );
}
