// One HTTP request as it stands, byte by byte, where a client library would tidy it up; and the answer to it.
import { RawConnection } from "../faults/raw-connection.ts";

const BOUND_MS = 10_000;

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly json: any;
}

/** One request as it stands, and the answer to it; HEAD has no body whatever its length says. */
export async function exchange(url: string, head: string, body: string | Uint8Array = ""): Promise<Reply> {
  const connection = await RawConnection.open(Number(new URL(url).port));
  connection.write(`${head}\r\n`);
  if (body.length > 0) connection.write(body);
  const isWhole = (received: string) => {
    const [top = "", rest] = splitHead(received);
    if (rest === undefined) return false;
    return head.startsWith("HEAD") || rest.length >= Number(/content-length: (\d+)/i.exec(top)?.[1] ?? 0);
  };
  await connection.until(isWhole, BOUND_MS);
  const [top = "", text = ""] = splitHead(connection.received);
  connection.destroy();
  const [first = "", ...lines] = top.split("\r\n");
  const headers = new Headers(
    lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]),
  );
  const decoded = Buffer.from(text, "latin1").toString();
  const isJson = headers.get("content-type")?.startsWith("application/json") && decoded !== "";
  return {
    status: Number(first.split(" ")[1]),
    headers,
    text: decoded,
    json: isJson ? JSON.parse(decoded) : undefined,
  };
}

function splitHead(received: string): [string, string?] {
  const end = received.indexOf("\r\n\r\n");
  return end < 0 ? [received] : [received.slice(0, end), received.slice(end + 4)];
}

/** `headers` are whole lines. */
export const ask = (url: string, method: string, target: string, headers = "", body = "") =>
  exchange(
    url,
    `${method} ${target} HTTP/1.1\r\nHost: x\r\n${headers}${body === "" ? "" : `Content-Length: ${Buffer.byteLength(body)}\r\n`}`,
    body,
  );
