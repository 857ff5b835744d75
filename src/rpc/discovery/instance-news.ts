// What each node of a cluster is told of instances, told to the others (contract 27.4). Ages go over the wire, no clocks. News that the bus did
// not take are made up for: a node that hears of an instance that it does not know, or comes anew, asks, and every node says what it was told.
import type { Logger } from "pino";
import { z } from "zod";
import type { Cluster } from "../../bus/cluster.ts";
import { BusNode } from "../../bus/node.ts";
import { isTenant } from "../wire/request-metadata.ts";
import { registration } from "./instance.ts";
import { bytesOf, type Entry, type Instances } from "./instances.ts";
import type { Registrations } from "./registrations.ts";

const TOPIC = "rpc/instances";
/** On their way; a bus that is away must not collect them. */
const MAX_ON_THEIR_WAY = 256;
const MAX_MESSAGE_BYTES = 256 * 1024;
const ASK_EVERY_MS = 5_000;

const tenant = z.string().refine(isTenant);
const id = z.string().min(1).max(128);
const put = z.object({ tenant, shared: z.boolean(), instance: registration, age_ms: z.number().min(0) });
const news = z.discriminatedUnion("type", [
  z.object({ v: z.literal(1), type: z.literal("put"), instances: z.array(put).max(10_000) }),
  z.object({ v: z.literal(1), type: z.literal("renewed"), tenant, id, age_ms: z.number().min(0) }),
  z.object({ v: z.literal(1), type: z.literal("removed"), tenant, id }),
  z.object({ v: z.literal(1), type: z.literal("ask") }),
]);
type News = z.input<typeof news>;

export interface InstanceNewsParts {
  readonly cluster: Cluster;
  readonly instances: Instances;
  readonly registrations: Registrations;
  readonly log: Logger;
}

export class InstanceNews {
  readonly #node: BusNode;
  #onTheirWay = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isClosed = false;

  constructor(private readonly parts: InstanceNewsParts) {
    const { cluster, log } = parts;
    this.#node = new BusNode({ ...cluster, log });
    this.#node.listen(TOPIC, ({ payload }) => this.#heard(payload));
    // Answers are not heard before this node hears the others.
    void cluster.bus.ready.then(() => this.#ask());
  }

  registered(entry: Entry): void {
    this.#say({ v: 1, type: "put", instances: [this.#asPut(entry)] });
  }

  renewed({ tenant, given }: Entry): void {
    this.#say({ v: 1, type: "renewed", tenant, id: given.instance_id, age_ms: 0 });
  }

  removed(tenant: string, id: string): void {
    this.#say({ v: 1, type: "removed", tenant, id });
  }

  close(): void {
    this.#isClosed = true;
    this.#node.close();
  }

  #say(said: News): void {
    if (this.#isClosed || this.#onTheirWay >= MAX_ON_THEIR_WAY) return;
    this.#onTheirWay++;
    void this.#node
      .publish(TOPIC, { kind: "custom", payload: JSON.stringify(said) })
      .finally(() => this.#onTheirWay--);
  }

  #ask(): void {
    const now = performance.now();
    if (now - this.#askedAt < ASK_EVERY_MS) return;
    this.#askedAt = now;
    this.#say({ v: 1, type: "ask" });
  }

  /** Of what came to this node: the others say the rest. */
  #answer(): void {
    const own = [...this.parts.instances.entries()].filter(({ isOwn }) => isOwn);
    let instances: z.input<typeof put>[] = [];
    let bytes = 0;
    const send = () => {
      if (instances.length > 0) this.#say({ v: 1, type: "put", instances });
      instances = [];
      bytes = 0;
    };
    for (const entry of own) {
      instances.push(this.#asPut(entry));
      bytes += bytesOf(entry.given);
      if (bytes >= MAX_MESSAGE_BYTES) send();
    }
    send();
  }

  #asPut(entry: Entry) {
    const { tenant, isShared: shared, given: instance } = entry;
    return { tenant, shared, instance, age_ms: this.parts.instances.ageMs(entry) };
  }

  #heard(payload: string | Uint8Array): void {
    const { instances, registrations, log } = this.parts;
    const parsed = typeof payload === "string" ? news.safeParse(jsonOf(payload)) : undefined;
    if (parsed?.success !== true) {
      log.warn({ topic: TOPIC }, "another node said of instances what this one does not understand");
      return;
    }
    const said = parsed.data;
    if (said.type === "ask") this.#answer();
    else if (said.type === "removed") void registrations.heardRemoved(said.tenant, said.id);
    else if (said.type === "put")
      for (const { tenant, shared: isShared, instance: given, age_ms: ageMs } of said.instances)
        void registrations.heard({ tenant, given, isShared, ageMs });
    else {
      const known = instances.find(said.tenant, said.id);
      if (known === undefined) this.#ask();
      else void registrations.heard({ ...known, ageMs: said.age_ms });
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
