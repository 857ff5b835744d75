// A client of RPC streams: posts a call and keeps what comes, as text and as frames.
import { until } from "./until.ts";

export interface ReceivedFrame {
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly data: any;
}

export class RpcStreamClient {
  readonly frames: ReceivedFrame[] = [];
  /** Comment lines. */
  readonly comments: string[] = [];
  text = "";
  /** The body ended as it should, or the connection is gone. */
  ended: "whole" | "cut" | undefined;
  #unread = "";

  private constructor(
    readonly response: Response,
    readonly leave: () => void,
  ) {
    void this.#read();
  }

  /** @throws Error with status and body when the answer is no stream. */
  static async open(
    url: string,
    body: object | undefined,
    headers: Record<string, string> = {},
    path = "/aduib_rpc/v2/rpc/stream",
  ): Promise<RpcStreamClient> {
    const abort = new AbortController();
    const response = await fetch(`${url}${path}`, {
      method: "POST",
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      signal: abort.signal,
      // A connection of its own, as a lost one is one of its own.
      keepalive: false,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
    return new RpcStreamClient(response, () => abort.abort());
  }

  get id(): string {
    return this.response.headers.get("x-aduib-stream-id") ?? "";
  }

  get types(): string[] {
    return this.frames.map(({ data }) => data.type);
  }

  get sequences(): number[] {
    return this.frames.map(({ data }) => data.sequence);
  }

  /** Of data frames. */
  get items(): unknown[] {
    return this.frames.filter(({ data }) => data.type === "data").map(({ data }) => data.payload.data);
  }

  get last(): ReceivedFrame["data"] {
    return this.frames.at(-1)?.data;
  }

  has(count: number): Promise<unknown> {
    return until(`${count} frames`, () => this.frames.length >= count);
  }

  over(): Promise<unknown> {
    return until("the end of the body", () => this.ended);
  }

  async #read(): Promise<void> {
    const decoder = new TextDecoder();
    try {
      for await (const bytes of this.response.body as ReadableStream<Uint8Array>) {
        const text = decoder.decode(bytes, { stream: true });
        this.text += text;
        this.#parse(text);
      }
      this.ended = "whole";
    } catch {
      this.ended = "cut";
    }
  }

  #parse(text: string): void {
    const blocks = (this.#unread + text).split("\n\n");
    this.#unread = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split("\n").filter((line) => line !== "");
      this.comments.push(...lines.filter((line) => line.startsWith(":")));
      const value = (name: string) =>
        lines.findLast((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = value("data");
      if (data !== undefined) this.frames.push({ id: value("id"), data: JSON.parse(data) });
    }
  }
}
