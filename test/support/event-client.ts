// A client of server-sent events on a connection of its own, as a browser reads them, compressed or not; it can stop reading.
import { Agent, type IncomingMessage, request } from "node:http";
import { constants, createGunzip } from "node:zlib";
import { until } from "./until.ts";

export interface ReceivedEvent {
  readonly id: string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
  readonly data: any;
}

export interface ClientOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly gzip?: boolean;
}

export class EventClient {
  readonly events: ReceivedEvent[] = [];
  /** The server has ended the answer as it should, or the connection is gone. */
  ended: "whole" | "cut" | undefined;
  #unread = "";
  readonly #decoder = new TextDecoder();

  private constructor(
    private readonly response: IncomingMessage,
    gzip: boolean,
  ) {
    const stream = gzip ? response.pipe(createGunzip({ flush: constants.Z_SYNC_FLUSH })) : response;
    stream.on("data", (bytes: Buffer) => this.#read(this.#decoder.decode(bytes, { stream: true })));
    stream.on("end", () => {
      this.ended ??= "whole";
    });
    for (const one of [stream, response])
      one.on("error", () => {
        this.ended ??= "cut";
      });
    response.on("aborted", () => {
      this.ended ??= "cut";
    });
  }

  /** @throws Error with status and body when the answer is not 200. */
  static async open(url: string, { headers = {}, gzip = false }: ClientOptions = {}): Promise<EventClient> {
    const all = gzip ? { "accept-encoding": "gzip", ...headers } : headers;
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    request(url, { headers: all, agent: new Agent({ keepAlive: true }) }, resolve)
      .on("error", reject)
      .end();
    const response = await promise;
    if (response.statusCode !== 200) {
      const parts = await Array.fromAsync(response as AsyncIterable<Buffer>);
      throw new Error(`${response.statusCode} ${Buffer.concat(parts)}`);
    }
    const isGzipped = response.headers["content-encoding"] === "gzip";
    const client = new EventClient(response, isGzipped);
    await client.until("the first frame", () => client.events.length > 0 || client.ended !== undefined);
    return client;
  }

  get headers(): Readonly<Record<string, string | string[] | undefined>> {
    return this.response.headers;
  }

  get first(): ReceivedEvent["data"] {
    return this.events[0]?.data;
  }

  get subscriptionId(): string {
    return this.first.data.subscriptionId;
  }

  get lastId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** Of the events that have an id. */
  get ids(): string[] {
    return this.events.flatMap(({ id }) => id ?? []);
  }

  get types(): string[] {
    return this.events.map(({ data }) => data.type);
  }

  until(what: string, look: () => boolean): Promise<unknown> {
    return until(what, look);
  }

  has(count: number): Promise<unknown> {
    return until(`${count} events`, () => this.events.length >= count);
  }

  pause(): void {
    this.response.socket.pause();
    this.response.pause();
  }

  resume(): void {
    this.response.socket.resume();
    this.response.resume();
  }

  close(): void {
    this.response.destroy();
  }

  #read(text: string): void {
    const blocks = (this.#unread + text).split("\n\n");
    this.#unread = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = new Map(
        block.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]),
      );
      this.events.push({ id: fields.get("id"), data: JSON.parse(fields.get("data") ?? "null") });
    }
  }
}
