// From "asks" to "live" without gap and double, at every moment at which an event can come in between.
import { expect, test } from "bun:test";
import { createLog } from "../../observability/log.ts";
import type { TopicEvent } from "../store/events.ts";
import type { Answer } from "../store/replay.ts";
import { topic } from "../topic.ts";
import type { UpdateBody } from "../wire/updates.ts";
import { Feed, type Subscriber } from "./feed.ts";

const nodes = topic({
  name: "nodes",
  itemKey: "id",
  snapshot: () => ({ items: [], total: 0 }),
  project: () => undefined,
});

/** What one socket hears: `s3` is a snapshot as of event 3, a number is an event. */
class Socket implements Subscriber {
  readonly rooms = new Set<string>();
  readonly heard: (string | number)[] = [];
  constructor(readonly id: string) {}
  join(room: string) {
    this.rooms.add(room);
  }
  emit(event: string, body: unknown) {
    if (event === "nodes:initial") this.heard.push(`s${(body as { lastEventId: number }).lastEventId}`);
    else this.heard.push((body as UpdateBody).eventId);
  }
}

/** A log and a room. `commit` stores an event, `announce` tells the feed of all that it was not told of yet. */
class World {
  readonly sockets: Socket[] = [];
  /** @param page events that one reading of the log gives at most. */
  constructor(private readonly page = 500) {}

  /** Reads wait here until the test lets them go on. */
  gate: Promise<void> | undefined;
  /** Reads of what the room was not told wait here. */
  logGate: Promise<void> | undefined;
  /** How often the log was read to catch up. */
  logReads = 0;
  broken = false;
  #log: TopicEvent[] = [];
  #committed = 0;
  #told = 0;
  readonly feed = new Feed({
    topic: nodes,
    broadcast: (event, body, except) => {
      if (this.broken) throw new Error("stub");
      for (const socket of this.sockets) {
        if (socket.rooms.has("nodes") && !except.includes(socket.id)) socket.emit(event, body);
      }
    },
    read: async (last) => {
      const answer = this.#read(last);
      await this.gate;
      return answer;
    },
    after: async (id, limit) => {
      const events = this.#log.filter((event) => event.id > id).slice(0, Math.min(limit, this.page));
      this.logReads++;
      await this.logGate;
      return events;
    },
    from: 0,
    retryMs: 5,
    log: createLog("silent"),
  });

  socket(): Socket {
    const socket = new Socket(`socket-${this.sockets.length}`);
    this.sockets.push(socket);
    return socket;
  }

  commit(): void {
    this.#log.push({ id: ++this.#committed, type: "add", data: {} });
  }

  announce(): void {
    const events = this.#log.filter(({ id }) => id > this.#told);
    this.#told = this.#committed;
    this.feed.announce(events);
  }

  event(): void {
    this.commit();
    this.announce();
  }

  /** Retention: the log loses what it has; its ids go on. */
  prune(): void {
    this.#log = [];
  }

  #read(last: number | undefined): Answer {
    const through = this.#committed;
    if (last === undefined)
      return { mode: "full", reason: "initial", items: [], total: 0, version: 0, through };
    const events = this.#log.filter(({ id }) => id > last);
    return { mode: "incremental", reason: "replay", events, through };
  }
}

function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { promise, open: resolve };
}

test("an event between the read and the answer comes after the answer, once", async () => {
  const world = new World();
  const socket = world.socket();
  world.event();
  const { promise, open } = gate();
  world.gate = promise;
  const answered = world.feed.answer(socket, undefined);
  await Bun.sleep(0);
  world.event();
  expect(socket.heard).toEqual([]);
  open();
  await answered;
  world.event();
  expect(socket.heard).toEqual(["s1", 2, 3]);
});

test("an event that was committed but not announced when it was read is not heard twice", async () => {
  const world = new World();
  const held = world.socket();
  const { promise, open } = gate();
  world.gate = promise;
  world.commit();
  const early = world.feed.answer(held, undefined);
  await Bun.sleep(0);
  // Announced while the answer is under way: dropped from the queue.
  world.announce();
  open();
  await early;
  // Announced after the answer: kept from this socket, not from the others.
  const late = world.socket();
  const other = world.socket();
  other.join("nodes");
  world.commit();
  await world.feed.answer(late, undefined);
  world.announce();
  world.event();
  expect([held.heard, late.heard, other.heard]).toEqual([
    ["s1", 2, 3],
    ["s2", 3],
    [2, 3],
  ]);
});

test("requests of one socket are answered one after another", async () => {
  const world = new World();
  const socket = world.socket();
  world.event();
  const { promise, open } = gate();
  world.gate = promise;
  const first = world.feed.answer(socket, undefined);
  const second = world.feed.answer(socket, { lastEventId: 1 });
  await Bun.sleep(0);
  world.event();
  open();
  await Promise.all([first, second]);
  // The second answer was read after the first was given, and so knows of the event in between.
  expect(socket.heard).toEqual(["s1", 2, 2]);
});

test("a socket that left while its answer was under way hears no more", async () => {
  const world = new World();
  const socket = world.socket();
  const { promise, open } = gate();
  world.gate = promise;
  const answered = world.feed.answer(socket, undefined);
  await Bun.sleep(0);
  socket.rooms.clear();
  world.event();
  open();
  await answered;
  world.event();
  expect(socket.heard).toEqual(["s0"]);
});

test("what could not be announced is announced later, in order and once, also to who asked meanwhile", async () => {
  const world = new World();
  const listening = world.socket();
  await world.feed.answer(listening, undefined);
  world.event();
  world.broken = true;
  world.event();
  world.event();
  expect(world.feed.failures).toBe(1);
  const asking = world.socket();
  await world.feed.answer(asking, undefined);
  world.broken = false;
  world.event();
  const deadline = Date.now() + 2_000;
  while (listening.heard.length < 5 && Date.now() < deadline) await Bun.sleep(1);
  world.event();
  expect([listening.heard, asking.heard]).toEqual([
    ["s0", 1, 2, 3, 4, 5],
    ["s3", 4, 5],
  ]);
  world.feed.stop();
});

test("a read that fails leaves the socket where it was", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.gate = Promise.reject(new Error("stub"));
  await expect(world.feed.answer(socket, undefined)).rejects.toThrow("stub");
  await Bun.sleep(0);
  world.gate = undefined;
  world.event();
  expect(socket.heard).toEqual(["s0", 1]);
});

test("while the log is read to catch up, nothing that is announced overtakes it or is lost", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.broken = true;
  world.event();
  world.broken = false;
  const { promise, open } = gate();
  world.logGate = promise;
  await until(() => world.logReads > 0);
  // The read has seen the first event only.
  world.event();
  const asking = world.socket();
  await world.feed.answer(asking, { lastEventId: 1 });
  world.event();
  expect(socket.heard).toEqual(["s0"]);
  world.logGate = undefined;
  open();
  await until(() => socket.heard.length >= 4);
  world.event();
  expect([socket.heard, asking.heard]).toEqual([
    ["s0", 1, 2, 3, 4],
    [2, 3, 4],
  ]);
});

test("an event that catching up read before it was announced is not sent again", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.broken = true;
  world.event();
  world.broken = false;
  world.commit();
  await until(() => socket.heard.length >= 3);
  world.announce();
  world.event();
  expect(socket.heard).toEqual(["s0", 1, 2, 3]);
});

test("what retention took before it could be announced keeps nobody from what follows", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.broken = true;
  world.event();
  world.event();
  world.broken = false;
  world.prune();
  await until(() => world.logReads > 0);
  await Bun.sleep(0);
  world.event();
  expect(socket.heard).toEqual(["s0", 3]);
});

test("a log that cannot be read is read again later", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.broken = true;
  world.event();
  world.broken = false;
  world.logGate = Promise.reject(new Error("stub"));
  world.logGate.catch(() => {});
  await until(() => world.logReads > 1);
  world.event();
  world.logGate = undefined;
  await until(() => socket.heard.length >= 3);
  expect(socket.heard).toEqual(["s0", 1, 2]);
});

test("a feed that was stopped while it read sends nothing more", async () => {
  const world = new World();
  const socket = world.socket();
  await world.feed.answer(socket, undefined);
  world.broken = true;
  world.event();
  world.broken = false;
  const { promise, open } = gate();
  world.logGate = promise;
  await until(() => world.logReads > 0);
  world.feed.stop();
  open();
  await Bun.sleep(20);
  expect([socket.heard, world.logReads]).toEqual([["s0"], 1]);
});

function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

/** Every socket heard each event exactly once, in order, from its answer on. */
function expectWhole(world: World): void {
  const last =
    world.sockets.length === 0 ? 0 : Math.max(...world.sockets.flatMap(({ heard }) => heard.map(numberOf)));
  for (const { heard } of world.sockets) {
    const start = heard[0] === undefined ? last + 1 : numberOf(heard[0]);
    const expected = Array.from({ length: last - start + 1 }, (_, index) => start + index);
    expect(heard.map(numberOf)).toEqual(expected);
  }
}

test("whatever the interleaving: every socket hears each event exactly once, in order, from its answer on", async () => {
  const random = randomFrom(7);
  for (let round = 0; round < 200; round++) {
    const world = new World();
    const answers: Promise<unknown>[] = [];
    const opens: (() => void)[] = [];
    for (let step = 0; step < 40; step++) {
      const choice = random(6);
      if (choice === 0) {
        const { promise, open } = gate();
        world.gate = promise;
        opens.push(open);
        answers.push(world.feed.answer(world.socket(), random(2) === 0 ? undefined : { lastEventId: 1 }));
        await Promise.resolve();
      } else if (choice === 1) opens.splice(random(opens.length || 1), 1)[0]?.();
      else if (choice === 2) world.commit();
      else if (choice === 3) world.announce();
      else if (choice === 4) world.event();
      else await Bun.sleep(0);
    }
    for (const open of opens) open();
    await Promise.all(answers);
    world.event();
    expectWhole(world);
  }
});

test("the same while the room breaks now and then and its log is read slowly", async () => {
  const random = randomFrom(11);
  let reads = 0;
  for (let round = 0; round < 150; round++) {
    const world = new World(1 + random(3));
    const answers: Promise<unknown>[] = [];
    const opens: (() => void)[] = [];
    for (let step = 0; step < 60; step++) {
      const choice = random(9);
      const { promise, open } = gate();
      if (choice === 0) {
        world.gate = promise;
        opens.push(open);
        answers.push(world.feed.answer(world.socket(), random(2) === 0 ? undefined : { lastEventId: 1 }));
        await Promise.resolve();
      } else if (choice === 1) opens.splice(random(opens.length || 1), 1)[0]?.();
      else if (choice === 2) world.commit();
      else if (choice === 3) world.announce();
      else if (choice === 4) world.event();
      else if (choice === 5) world.broken = !world.broken;
      else if (choice === 6) {
        world.logGate = promise;
        opens.push(open);
      } else if (choice === 7) await Bun.sleep(0);
      else await Bun.sleep(random(3));
    }
    world.broken = false;
    world.gate = undefined;
    world.logGate = undefined;
    for (const open of opens) open();
    await Promise.all(answers);
    world.event();
    const last = world.socket();
    last.join("nodes");
    await until(() => {
      world.event();
      return last.heard.length > 0;
    });
    expectWhole(world);
    reads += world.logReads;
  }
  expect(reads).toBeGreaterThan(150);
});

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error("not within the bound");
    await Bun.sleep(1);
  }
}

const numberOf = (heard: string | number): number =>
  typeof heard === "number" ? heard : Number(heard.slice(1));
