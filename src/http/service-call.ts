// Calls to other people's services, bounded in time and in bytes. What comes back goes through a schema before anybody uses it.
import type { z } from "zod";

const TIMEOUT_MS = 10_000;
const MAX_ANSWER_BYTES = 1024 * 1024;

/** A service answered something that cannot be used. The message never holds what it answered. */
export class ServiceError extends Error {}

export interface ServiceCall {
  readonly method?: "GET" | "POST" | "PATCH";
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is; a form names its type itself. */
  readonly body?: FormData | Blob;
  readonly maxBytes?: number;
  /** For the whole of it: an answer that does not end is given up as well. */
  readonly timeoutMs?: number;
  /** Who asked does not wait for it any more. */
  readonly signal?: AbortSignal;
  /** Off by default: a redirect would carry keys in headers to another host. */
  readonly followRedirects?: boolean;
}

export interface ServiceAnswer {
  readonly ok: boolean;
  readonly status: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** @throws ServiceError when the answer is not JSON of this shape. */
  json<T extends z.ZodType>(schema: T): z.output<T>;
}

/** @throws ServiceError when the answer is too large; the error of the network, or a TimeoutError. */
export async function callService(
  url: string,
  {
    method = "GET",
    headers = {},
    json,
    body,
    maxBytes = MAX_ANSWER_BYTES,
    timeoutMs = TIMEOUT_MS,
    signal,
    followRedirects = false,
  }: ServiceCall = {},
): Promise<ServiceAnswer> {
  const late = AbortSignal.timeout(timeoutMs);
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(json !== undefined && { "content-type": "application/json" }) },
    ...(body !== undefined && { body }),
    ...(json !== undefined && { body: JSON.stringify(json) }),
    redirect: followRedirects ? "follow" : "error",
    signal: signal === undefined ? late : AbortSignal.any([late, signal]),
  });
  const bytes = await bounded(response, maxBytes);
  return {
    ok: response.ok,
    status: response.status,
    bytes,
    json: (schema) => {
      const parsed = schema.safeParse(parse(bytes));
      if (!parsed.success) throw new ServiceError(`${new URL(url).host} answered in an unknown shape`);
      return parsed.data;
    },
  };
}

/** `base` with or without a slash at its end, or a query, which is kept. */
export function serviceUrl(base: string, path: string, query: Readonly<Record<string, string>> = {}): string {
  const url = new URL(base);
  url.pathname = `${url.pathname.replace(/\/+$/, "")}${path}`;
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  url.hash = "";
  return url.href;
}

async function bounded(response: Response, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let total = 0;
  for await (const chunk of response.body ?? []) {
    total += chunk.byteLength;
    if (total > maxBytes) throw new ServiceError(`${new URL(response.url).host} answered too much`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks, total));
}

function parse(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
