// A Socket.IO client that does what it is told and keeps all that it hears, in order. It answers calls from a table.
import { io, type Socket } from "socket.io-client";
import { Recorder } from "../clients/recorder.ts";
import type { Json } from "./placeholders.ts";

export interface Heard {
  readonly event: string;
  readonly payload: Json;
  /** What it acknowledged with; absent when nobody asked for that. */
  readonly reply?: Json;
}

const BOUND_MS = 5_000;

export class ScriptedClient {
  readonly heard = new Recorder<Heard>();
  /** The acknowledgement of an event that asks for one. */
  answer: (event: string, payload: Json) => Json = () => null;

  private constructor(readonly socket: Socket) {
    socket.onAny((event: string, ...args: unknown[]) => {
      const acknowledge =
        typeof args.at(-1) === "function" ? (args.pop() as (reply: Json) => void) : undefined;
      const payload = (args[0] ?? null) as Json;
      if (acknowledge === undefined) return this.heard.push({ event, payload });
      const reply = this.answer(event, payload);
      this.heard.push({ event, payload, reply });
      acknowledge(reply);
    });
    socket.on("disconnect", (reason) => this.heard.push({ event: "(disconnect)", payload: reason }));
  }

  /** @returns a client that has joined the namespace, or the refusal's message. */
  static async open(
    url: string,
    namespace: string,
    auth: { [key: string]: Json },
  ): Promise<ScriptedClient | { refused: string }> {
    const socket = io(`${url}${namespace}`, {
      auth,
      transports: ["websocket"],
      forceNew: true,
      reconnection: false,
    });
    const client = new ScriptedClient(socket);
    const { promise, resolve, reject } = Promise.withResolvers<ScriptedClient | { refused: string }>();
    const timer = setTimeout(() => reject(new Error(`no answer to the connect to ${namespace}`)), BOUND_MS);
    socket.on("connect", () => resolve(client));
    socket.on("connect_error", ({ message }) => {
      socket.close();
      resolve({ refused: message });
    });
    return promise.finally(() => clearTimeout(timer));
  }

  /** The same where a refusal is a failure. */
  static async join(url: string, namespace: string, auth: { [key: string]: Json }): Promise<ScriptedClient> {
    const client = await ScriptedClient.open(url, namespace, auth);
    if ("refused" in client) throw new Error(`The hub refused a socket of ${namespace}: ${client.refused}`);
    return client;
  }

  emit(event: string, payload: Json): void {
    this.socket.emit(event, payload);
  }

  /** @returns all arguments of the acknowledgement. */
  async ask(event: string, payload?: Json): Promise<Json[]> {
    const { promise, resolve, reject } = Promise.withResolvers<Json[]>();
    const timer = setTimeout(() => reject(new Error(`no acknowledgement of ${event}`)), BOUND_MS);
    const acknowledge = (...args: Json[]) => resolve(args);
    if (payload === undefined) this.socket.emit(event, acknowledge);
    else this.socket.emit(event, payload, acknowledge);
    return promise.finally(() => clearTimeout(timer));
  }

  /** Has the hub read everything that was sent before; only `/cli` has it. */
  async flush(): Promise<void> {
    await this.ask("ping");
  }

  close(): void {
    this.socket.disconnect();
  }
}
