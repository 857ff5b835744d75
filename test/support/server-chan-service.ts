// A server that behaves like ServerChan, also on bad days: it takes a form at `/<key>.send` and knows which keys are none.
export interface ServerChanBreak {
  readonly status?: number;
  readonly raw?: string;
  readonly silent?: boolean;
}

export class ServerChanService {
  readonly taken: { readonly key: string; readonly title: string; readonly desp: string }[] = [];
  readonly unknown = new Set<string>();
  /** For every request. */
  broken: ServerChanBreak | undefined;
  /** For the next requests, one each. */
  readonly breaks: ServerChanBreak[] = [];
  requests = 0;
  readonly #server: ReturnType<typeof Bun.serve>;

  constructor() {
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

  stop(): Promise<void> {
    return this.#server.stop(true);
  }

  async #answer(request: Request): Promise<Response> {
    this.requests++;
    const key = decodeURIComponent(new URL(request.url).pathname.slice(1)).replace(/\.send$/, "");
    const form = new URLSearchParams(await request.text());
    const bad = this.breaks.shift() ?? this.broken;
    if (bad?.silent === true) return await new Promise<Response>(() => {});
    if (bad?.raw !== undefined) return new Response(bad.raw, { status: bad.status ?? 200 });
    if (bad?.status !== undefined)
      return Response.json(
        { code: 40001, message: "[AUTH]超过当天的发送次数限制[5]" },
        { status: bad.status },
      );
    if (this.unknown.has(key))
      return Response.json({ code: 40001, message: "[AUTH]错误的Key", scode: 461 }, { status: 400 });
    this.taken.push({ key, title: form.get("title") ?? "", desp: form.get("desp") ?? "" });
    return Response.json({ code: 0, message: "", data: { pushid: "1", errno: 0 } });
  }
}
