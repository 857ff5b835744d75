// The line of one Socket.IO namespace to its siblings on other nodes: messages of its adapter, in order, several together when the bus
// is slower than they come. Packets travel as Socket.IO itself encodes them, so that binary values survive. Each namespace has a line
// of its own: what one protocol broadcasts neither delays nor crowds out another's.
import type { Logger } from "pino";
import type { ClusterMessage } from "socket.io-adapter";
import { Decoder, Encoder, type Packet, PacketType } from "socket.io-parser";
import { z } from "zod";
import type { Cluster } from "../bus/cluster.ts";
import { BusNode } from "../bus/node.ts";
import { endsWithin } from "../within.ts";

/** Of one write on the bus, before its own envelope; a single message may be larger. */
const MAX_BATCH_CHARACTERS = 500_000;
/** Of what may wait while the bus is slow. */
const MAX_WAITING_CHARACTERS = 32 * 1024 * 1024;
/** What was announced before a stop still gets this long. */
const FLUSH_MS = 1_000;

/** A packet's text, and its binary attachments in base64. */
const encoded = z.array(z.array(z.string()).min(1));
/** As far as an adapter relies on it before it looks at the type. */
const message = z.looseObject({ uid: z.string(), nsp: z.string(), type: z.int() });

export type SocketBusListener = (message: ClusterMessage) => void;

export class SocketBus {
  readonly #node: BusNode;
  readonly #topic: string;
  #listener: SocketBusListener | undefined;
  readonly #encoder = new Encoder();
  #waiting: string[] = [];
  #waitingCharacters = 0;
  #flushing: Promise<void> | undefined;

  /** Equal paths and namespaces on two nodes are one. */
  constructor(
    cluster: Cluster,
    path: string,
    private readonly namespace: string,
    private readonly log: Logger,
  ) {
    this.#node = new BusNode({ ...cluster, log });
    this.#topic = `topic/${path}${namespace === "/" ? "" : namespace}`;
    this.#node.listen(this.#topic, ({ payload }) => {
      if (typeof payload === "string") this.#hear(payload);
    });
  }

  /** The newest listener counts. */
  listen(listener: SocketBusListener): void {
    this.#listener = listener;
  }

  leave(): void {
    this.#listener = undefined;
  }

  /** Never fails: while the bus is away the sockets of this node hear, and the log says that others do not. */
  send(outgoing: unknown): void {
    const parts = this.#encoder.encode({ type: PacketType.EVENT, nsp: "/", data: ["bus", outgoing] });
    const text = JSON.stringify(
      parts.map((part) => (typeof part === "string" ? part : Buffer.from(part).toString("base64"))),
    );
    if (this.#waitingCharacters + text.length > MAX_WAITING_CHARACTERS) {
      this.log.warn({ topic: this.#topic }, "the bus is too slow; sockets of other nodes miss a broadcast");
      return;
    }
    this.#waiting.push(text);
    this.#waitingCharacters += text.length;
    this.#flushing ??= this.#flush();
  }

  async close(): Promise<void> {
    await endsWithin(FLUSH_MS, this.#flushing);
    this.#node.close();
  }

  async #flush(): Promise<void> {
    // The rest of this turn's broadcasts goes along.
    await Promise.resolve();
    while (this.#waiting.length > 0)
      await this.#node.publish(this.#topic, { kind: "custom", payload: this.#nextBatch() });
    this.#flushing = undefined;
  }

  #nextBatch(): string {
    let characters = 0;
    let count = 0;
    for (const { length } of this.#waiting) {
      if (count > 0 && characters + length > MAX_BATCH_CHARACTERS) break;
      characters += length;
      count++;
    }
    this.#waitingCharacters -= characters;
    return `[${this.#waiting.splice(0, count).join(",")}]`;
  }

  #hear(payload: string): void {
    for (const parts of encoded.parse(JSON.parse(payload))) {
      try {
        const incoming = decode(parts);
        // Checked as far as it can be: what is inside is another node's of this very cluster.
        if (incoming.nsp === this.namespace) this.#listener?.(incoming as unknown as ClusterMessage);
      } catch (error) {
        // The others of its batch are not to blame.
        this.log.error({ err: error, topic: this.#topic }, "a broadcast of another node could not be read");
      }
    }
  }
}

function decode([text = "", ...attachments]: readonly string[]): z.output<typeof message> {
  const decoder = new Decoder();
  let decoded: Packet | undefined;
  decoder.on("decoded", (packet) => {
    decoded = packet;
  });
  decoder.add(text);
  for (const attachment of attachments) decoder.add(Buffer.from(attachment, "base64"));
  return message.parse(z.tuple([z.literal("bus"), z.unknown()]).parse(decoded?.data)[1]);
}
