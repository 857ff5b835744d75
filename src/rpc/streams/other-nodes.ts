// Wishes for streams that another node of the cluster has (contract 7.6). The node that was asked has let their caller in; who has the stream
// looks whether it is the caller's. Nobody answers: the caller sees at its stream what came of it.
import type { Logger } from "pino";
import { z } from "zod";
import type { Cluster } from "../../bus/cluster.ts";
import { BusNode } from "../../bus/node.ts";
import type { ControlRequest } from "../wire/stream-control.ts";
import type { Owner } from "./live-streams.ts";

const TOPIC = "rpc/stream-control";
/** On their way to the bus, of all callers; a bus that is away must not collect them. */
const MAX_ON_THEIR_WAY = 64;

const forwarded = z.object({
  v: z.literal(1),
  stream_id: z.string().optional(),
  id: z.string().optional(),
  tenant: z.string(),
  principal: z.string(),
  verified: z.boolean(),
  wish: z.discriminatedUnion("type", [
    z.object({ type: z.literal("cancel"), reason: z.string().optional() }),
    z.object({ type: z.literal("ack"), sequence: z.int() }),
  ]),
});

export interface OtherNodesParts {
  readonly cluster: Cluster;
  readonly log: Logger;
  /** Another node's caller wishes this; whether there is such a stream here is for this to find out. */
  readonly wished: (request: ControlRequest, owner: Owner) => void;
}

export type Forwarding = "sent" | "busy" | "failed";

export class OtherNodes {
  readonly #node: BusNode;
  #onTheirWay = 0;

  constructor(private readonly parts: OtherNodesParts) {
    this.#node = new BusNode({ ...parts.cluster, log: parts.log });
    this.#node.listen(TOPIC, ({ payload }) => this.#heard(payload));
  }

  async forward({ streamId, requestId, wish }: ControlRequest, owner: Owner): Promise<Forwarding> {
    if (this.#onTheirWay >= MAX_ON_THEIR_WAY) return "busy";
    this.#onTheirWay++;
    try {
      const message: z.input<typeof forwarded> = {
        v: 1,
        stream_id: streamId,
        id: requestId,
        ...owner,
        wish: wish.type === "cancel" ? { type: "cancel", reason: wish.reason } : wish,
      };
      const isSent = await this.#node.publish(TOPIC, { kind: "custom", payload: JSON.stringify(message) });
      return isSent ? "sent" : "failed";
    } finally {
      this.#onTheirWay--;
    }
  }

  close(): void {
    this.#node.close();
  }

  #heard(payload: string | Uint8Array): void {
    const parsed = typeof payload === "string" ? forwarded.safeParse(jsonOf(payload)) : undefined;
    if (parsed?.success !== true) {
      this.parts.log.warn(
        { topic: TOPIC },
        "another node said of a stream what this one does not understand",
      );
      return;
    }
    const { stream_id: streamId, id: requestId, tenant, principal, verified, wish } = parsed.data;
    const owner = { tenant, principal, verified };
    const asked = wish.type === "cancel" ? { type: wish.type, reason: wish.reason } : wish;
    this.parts.wished({ streamId, requestId, wish: asked }, owner);
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
