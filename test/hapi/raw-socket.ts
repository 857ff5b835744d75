// A WebSocket that speaks Engine.IO and Socket.IO by hand, so that packets are seen as they stand. It answers pings and nothing else.
import { Recorder } from "../clients/recorder.ts";
import type { Json } from "./placeholders.ts";

const BOUND_MS = 5_000;

export class RawSocket {
  /** All but pings. */
  readonly packets = new Recorder<string>();
  #read = 0;
  #asked = 0;

  private constructor(readonly socket: WebSocket) {
    socket.addEventListener("message", ({ data }) => {
      if (data === "2") socket.send("3");
      else this.packets.push(`${data}`);
    });
  }

  /** Directly, as the CLI does: no polling first. @returns it with its first packet. */
  static async open(url: string): Promise<{ socket: RawSocket; first: string }> {
    const address = `${url.replace(/^http/, "ws")}/socket.io/?EIO=4&transport=websocket`;
    const socket = new RawSocket(new WebSocket(address));
    return { socket, first: await socket.next("the open packet", "0") };
  }

  send(packet: string): void {
    this.socket.send(packet);
  }

  emit(event: string, payload?: Json): void {
    this.send(`42/cli,${JSON.stringify(payload === undefined ? [event] : [event, payload])}`);
  }

  /** @returns the packet of the acknowledgement. */
  async ask(event: string, payload?: Json, id = this.#asked++): Promise<string> {
    this.send(`42/cli,${id}${JSON.stringify(payload === undefined ? [event] : [event, payload])}`);
    return this.next(`the acknowledgement of ${event}`, `43/cli,${id}[`);
  }

  /** The next packet that begins like this; packets before it stay unread. */
  async next(what: string, start: string): Promise<string> {
    const found = await this.packets.first(
      what,
      BOUND_MS,
      (packet) => (packet.startsWith(start) ? packet : undefined),
      this.#read,
    );
    const index = this.packets.all.indexOf(found, this.#read);
    this.packets.all.splice(index, 1);
    return found;
  }

  /** What nobody waited for since the last look. */
  unread(): string[] {
    const all = this.packets.all.slice(this.#read);
    this.#read = this.packets.mark;
    return all;
  }

  close(): void {
    this.socket.close();
  }
}
