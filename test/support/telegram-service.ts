// A server that behaves like api.telegram.org towards one bot, also on bad days: it holds getUpdates open until there is something, keeps
// updates until they are confirmed, and takes messages to chats that it knows.
export interface TelegramBreak {
  readonly status?: number;
  readonly retryAfter?: number;
  readonly raw?: string;
  readonly silent?: boolean;
}

export interface TelegramCall {
  readonly method: string;
  readonly params: Record<string, unknown>;
}

export class TelegramService {
  readonly calls: TelegramCall[] = [];
  readonly blocked = new Set<string>();
  /** For every call but getUpdates. */
  broken: TelegramBreak | undefined;
  /** For the next calls but getUpdates, one each. */
  readonly breaks: TelegramBreak[] = [];
  /** For the next getUpdates, one each. */
  readonly deafness: TelegramBreak[] = [];
  polls = 0;
  #updates: { update_id: number }[] = [];
  #nextId = 100;
  #arrived = Promise.withResolvers<void>();
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor(readonly token: string) {
    this.#server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      idleTimeout: 0,
      fetch: (request) => this.#answer(request),
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.port}`;
  }

  of(method: string): Record<string, unknown>[] {
    return this.calls.filter((call) => call.method === method).map(({ params }) => params);
  }

  /** Somebody does something with the bot. */
  happens(update: object): void {
    this.#updates.push({ update_id: this.#nextId++, ...update });
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers();
  }

  writes(user: number, text: string, type = "private"): void {
    this.happens({ message: { message_id: 1, text, from: { id: user }, chat: { id: user, type } } });
  }

  presses(user: number, data: string, text = "Permission Request"): void {
    const message = { message_id: 7, chat: { id: user, type: "private" }, text };
    this.happens({ callback_query: { id: `q${this.#nextId}`, from: { id: user }, data, message } });
  }

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    const [, bot, method = ""] = new URL(request.url).pathname.split("/");
    const params = (await request.json()) as Record<string, unknown>;
    const no = (error_code: number, description: string, more: object = {}) =>
      Response.json({ ok: false, error_code, description, ...more }, { status: error_code });
    if (bot !== `bot${this.token}`) return no(401, "Unauthorized");
    const isPoll = method === "getUpdates";
    if (isPoll) this.polls++;
    else this.calls.push({ method, params });
    const bad = isPoll ? this.deafness.shift() : (this.breaks.shift() ?? this.broken);
    if (bad?.silent) return await new Promise<Response>(() => {});
    if (bad?.raw !== undefined) return new Response(bad.raw, { status: bad.status ?? 200 });
    if (bad?.status !== undefined)
      return no(
        bad.status,
        "no",
        bad.retryAfter === undefined ? {} : { parameters: { retry_after: bad.retryAfter } },
      );
    if (isPoll) return Response.json({ ok: true, result: await this.#waiting(params, request.signal) });
    if (method === "sendMessage" && this.blocked.has(String(params.chat_id)))
      return no(403, "Forbidden: bot was blocked by the user");
    return Response.json({ ok: true, result: { message_id: this.calls.length } });
  }

  async #waiting(params: Record<string, unknown>, signal: AbortSignal) {
    const { offset } = params;
    if (typeof offset === "number") this.#updates = this.#updates.filter((each) => each.update_id >= offset);
    const aborted = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    if (this.#updates.length === 0) await Promise.race([this.#arrived.promise, aborted]);
    return this.#updates.slice(0, 100);
  }
}
