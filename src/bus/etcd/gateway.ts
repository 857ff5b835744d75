// etcd v3 through its JSON gateway: one POST a call, 64-bit numbers as text, keys and values in base64 (bus contract 10.4).
// Endpoints are tried in order, beginning with the one that answered last.
import type { Logger } from "pino";
import { z } from "zod";

export interface EtcdSettings {
  readonly endpoints: readonly string[];
  /** Until the first byte of an answer, for each endpoint. */
  readonly dialTimeoutMs: number;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  /** PEM texts. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
}

/** etcd answered with an error. */
export class EtcdError extends Error {
  constructor(
    readonly status: number,
    /** gRPC code: 5 not found, 14 unavailable, 16 unauthenticated. */
    readonly code: number,
    message: string,
  ) {
    super(message);
  }
}

/** No endpoint answered. */
export class EtcdUnreachable extends Error {}

const failure = z.object({
  error: z.string().optional(),
  message: z.string().optional(),
  code: z.int().optional(),
});
const authenticated = z.object({ token: z.string() });

const UNAUTHENTICATED = 16;
const AUTHENTICATE = "/v3/auth/authenticate";

export class EtcdGateway {
  #current = 0;
  #token: string | undefined;

  constructor(
    private readonly settings: EtcdSettings,
    private readonly log: Logger,
  ) {}

  /** @throws EtcdError, EtcdUnreachable, the signal's reason, or ZodError for an answer of another shape. */
  async call<T extends z.ZodType>(
    path: string,
    body: unknown,
    schema: T,
    signal?: AbortSignal,
  ): Promise<z.output<T>> {
    return await this.#request(path, body, signal, async (response) => schema.parse(await response.json()));
  }

  /**
   * The lines of an endless answer; the request has been accepted when this resolves.
   * @throws as `call`; the iteration throws when the connection breaks.
   */
  async stream(path: string, body: unknown, signal: AbortSignal): Promise<AsyncIterable<unknown>> {
    return await this.#request(path, body, signal, async (response) => jsonLines(response));
  }

  async #request<T>(
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const { endpoints, username } = this.settings;
    let problem: unknown;
    for (let attempt = 0; attempt < endpoints.length; attempt++) {
      const endpoint = endpoints[this.#current % endpoints.length] ?? "";
      try {
        if (username !== undefined && this.#token === undefined && path !== AUTHENTICATE)
          await this.#authenticate(signal);
        return await this.#post(endpoint, path, body, signal, read);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof EtcdError && isTokenRefused(error) && this.#token !== undefined) {
          // Tokens of etcd expire, and end when its users change: ask once for a new one, at the same endpoint.
          this.#token = undefined;
          await this.#authenticate(signal);
          return await this.#post(endpoint, path, body, signal, read);
        }
        // Another endpoint would say the same.
        if (error instanceof EtcdError && error.status < 500) throw error;
        problem = error;
        this.#current = (this.#current + 1) % endpoints.length;
        if (endpoints.length > 1) this.log.debug({ endpoint, err: error }, "an etcd endpoint did not answer");
      }
    }
    throw new EtcdUnreachable(`no etcd endpoint answered (${endpoints.join(", ")})`, { cause: problem });
  }

  async #post<T>(
    endpoint: string,
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    const dial = new AbortController();
    const timer = setTimeout(
      () => dial.abort(new Error(`no answer within ${this.settings.dialTimeoutMs} ms`)),
      this.settings.dialTimeoutMs,
    );
    try {
      const response = await fetch(`${endpoint.replace(/\/+$/, "")}${path}`, {
        method: "POST",
        headers: this.#token === undefined ? {} : { authorization: this.#token },
        body: JSON.stringify(body),
        signal: signal === undefined ? dial.signal : AbortSignal.any([signal, dial.signal]),
        // A watch may be silent for ever; the dial timeout bounds everything else.
        timeout: false,
        ...(this.settings.tls === undefined ? {} : { tls: this.settings.tls }),
      });
      if (!response.ok) throw await errorOf(response);
      return await read(response);
    } finally {
      clearTimeout(timer);
    }
  }

  async #authenticate(signal: AbortSignal | undefined): Promise<void> {
    const { username, password } = this.settings;
    const { token } = await this.call(AUTHENTICATE, { name: username, password }, authenticated, signal);
    this.#token = token;
  }
}

function isTokenRefused({ code, message }: EtcdError): boolean {
  return code === UNAUTHENTICATED || message.includes("revision of auth store is old");
}

async function errorOf(response: Response): Promise<EtcdError> {
  const parsed = failure.safeParse(await response.json().catch(() => undefined));
  const { message, error, code } = parsed.success ? parsed.data : {};
  return new EtcdError(response.status, code ?? 2, message ?? error ?? `HTTP ${response.status}`);
}

/** One JSON value a line; a line may arrive in many pieces. */
async function* jsonLines(response: Response): AsyncGenerator<unknown> {
  if (response.body === null) return;
  const decoder = new TextDecoder();
  let pieces: string[] = [];
  for await (const chunk of response.body) {
    const lines = decoder.decode(chunk, { stream: true }).split("\n");
    const last = lines.pop() ?? "";
    for (const line of lines) {
      pieces.push(line);
      const text = pieces.join("");
      pieces = [];
      if (text.trim() !== "") yield JSON.parse(text);
    }
    pieces.push(last);
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString("base64");
export const fromBase64 = (text: string): Buffer<ArrayBuffer> => Buffer.from(text, "base64");

/** The end of a prefix's range: its last byte plus one (`/a/` ends before `/a0`). */
export function rangeEnd(prefix: string): string {
  return `${prefix.slice(0, -1)}${String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)}`;
}
