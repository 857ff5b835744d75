// A client of the RPC room on one TLS connection that stays: calls one after the other, and streams as they come.
import type { ConnectionOptions, TLSSocket } from "node:tls";
import type { Pair } from "./certificates.ts";
import { connectTls, type TlsTarget } from "./tls-clients.ts";
import { until } from "./until.ts";

// biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for.
type Json = any;

export interface TlsCall {
  readonly status: number;
  readonly body: Json;
}

const BASE = "/aduib_rpc";

export class TlsRpcClient {
  #received = "";
  #isOver = false;

  private constructor(readonly socket: TLSSocket) {
    socket.on("data", (piece: Buffer) => {
      this.#received += piece.toString("latin1");
    });
    socket.on("close", () => {
      this.#isOver = true;
    });
    socket.on("error", () => {});
  }

  /** @throws what the handshake failed with. */
  static async open(target: TlsTarget, pair?: Pick<Pair, "cert" | "key">, options: ConnectionOptions = {}) {
    return new TlsRpcClient(await connectTls(target, pair, options));
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  close(): void {
    this.socket.destroy();
  }

  /** `rpc.v2/<method>`. @throws Error when the connection ends before the answer. */
  call(method: string, data: unknown = null, more: object = {}, headers: Record<string, string> = {}) {
    return this.post("/v2/rpc", { id: "i1", method: `rpc.v2/${method}`, data, ...more }, headers);
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<TlsCall> {
    return this.#request("POST", path, JSON.stringify(body), headers);
  }

  get(path: string): Promise<TlsCall> {
    return this.#request("GET", path, "", {});
  }

  /** @returns the frames so far, each time it is asked. */
  async stream(method: string, data: unknown): Promise<() => readonly Json[]> {
    this.#send("POST", "/v2/rpc/stream", JSON.stringify({ id: "s1", method: `rpc.v2/${method}`, data }), {});
    await this.#until(() => this.#received.includes("\r\n\r\n"));
    if (!this.#received.startsWith("HTTP/1.1 200")) throw new Error(this.#received);
    return () =>
      [...this.#received.matchAll(/^data: (.*)$/gm)].map(([, frame = ""]) => JSON.parse(frame) as Json);
  }

  async #request(method: string, path: string, body: string, headers: Record<string, string>) {
    this.#received = "";
    this.#send(method, path, body, headers);
    const whole = () => {
      const [head = "", rest] = this.#received.split("\r\n\r\n");
      if (rest === undefined) return undefined;
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN);
      return rest.length >= length ? { head, rest } : undefined;
    };
    await this.#until(() => whole() !== undefined);
    const { head, rest } = whole() ?? { head: "", rest: "null" };
    const text = Buffer.from(rest, "latin1").toString("utf8");
    return { status: Number(head.split(" ")[1]), body: JSON.parse(text) as Json };
  }

  #send(method: string, path: string, body: string, headers: Record<string, string>): void {
    const all = {
      host: "localhost",
      "content-type": "application/json",
      "content-length": `${Buffer.byteLength(body)}`,
      ...headers,
    };
    const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`${method} ${BASE}${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`);
  }

  async #until(has: () => boolean): Promise<void> {
    await until("the answer", () => has() || this.#isOver);
    if (!has()) throw new Error("closed without an answer");
  }
}
