// A form with files (RFC 7578) in the bytes as they came: a part is a view of them, so that a recording is in memory once.

export interface FormPart {
  readonly name: string;
  /** Undefined for a field that is no file. */
  readonly filename: string | undefined;
  /** As the sender says it; empty where it says nothing. */
  readonly type: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const MAX_PARTS = 64;
const MAX_HEAD_BYTES = 8 * 1024;
const HEAD_END = "\r\n\r\n";
const LINE = "\r\n";

/** Undefined when it is no such form, is cut short, or has more parts than any client sends. */
export function formParts(
  bytes: Uint8Array<ArrayBuffer>,
  contentType: string | null,
): FormPart[] | undefined {
  const boundary = boundaryOf(contentType);
  if (boundary === undefined) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const opening = Buffer.from(`--${boundary}`);
  const delimiter = Buffer.from(`${LINE}--${boundary}`);
  // What stands before the first delimiter is nobody's.
  let at = buffer.subarray(0, opening.length).equals(opening) ? opening.length : after(buffer, delimiter, 0);
  const parts: FormPart[] = [];
  while (at !== undefined) {
    if (buffer.toString("latin1", at, at + 2) === "--") return parts;
    if (buffer.toString("latin1", at, at + 2) !== LINE || parts.length === MAX_PARTS) return undefined;
    const headEnd = buffer.indexOf(HEAD_END, at);
    if (headEnd < 0 || headEnd - at > MAX_HEAD_BYTES) return undefined;
    const start = headEnd + HEAD_END.length;
    const end = buffer.indexOf(delimiter, start);
    if (end < 0) return undefined;
    const part = partOf(buffer.toString("utf8", at + LINE.length, headEnd));
    if (part === undefined) return undefined;
    parts.push({ ...part, bytes: bytes.subarray(start, end) });
    at = end + delimiter.length;
  }
  return undefined;
}

function after(buffer: Buffer, what: Buffer, from: number): number | undefined {
  const at = buffer.indexOf(what, from);
  return at < 0 ? undefined : at + what.length;
}

/** Of 1 to 70 characters (RFC 2046, 5.1.1). */
function boundaryOf(contentType: string | null): string | undefined {
  if (!/^multipart\/form-data\s*;/i.test(contentType ?? "")) return undefined;
  const [, quoted, bare] = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))/i.exec(contentType ?? "") ?? [];
  return quoted ?? bare;
}

function partOf(head: string): Omit<FormPart, "bytes"> | undefined {
  const headers = new Map(
    head.split(LINE).map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const disposition = headers.get("content-disposition") ?? "";
  const name = parameter(disposition, "name");
  if (!/^form-data\b/i.test(disposition) || name === undefined) return undefined;
  return { name, filename: parameter(disposition, "filename"), type: headers.get("content-type") ?? "" };
}

/** Browsers write a quote and the ends of lines as %22, %0D and %0A, others put a backslash before a quote. */
function parameter(disposition: string, name: string): string | undefined {
  const value = new RegExp(`;\\s*${name}="((?:[^"\\\\]|\\\\.)*)"`, "i").exec(disposition)?.[1];
  return value?.replace(/\\(["\\])/g, "$1").replace(/%(22|0D|0A)/gi, (_, code: string) => unescaped(code));
}

const unescaped = (code: string): string => String.fromCharCode(Number.parseInt(code, 16));
