// What web clients hear and miss, over real sockets through the door.
import { afterEach, describe, expect, test } from "bun:test";
import { Agent, request } from "node:http";
import { EventClient } from "../../../test/support/event-client.ts";
import { type EventHub, type EventHubOptions, eventHub } from "../../../test/support/event-hub.ts";
import { until } from "../../../test/support/until.ts";
import type { HubEvent } from "./event.ts";
import { RING_EVENTS } from "./ring.ts";

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of cleanup.splice(0).reverse()) await step();
});

function opened(options?: EventHubOptions): EventHub {
  const hub = eventHub(options);
  cleanup.push(() => hub.close());
  return hub;
}

const message = (at: number, namespace = "default", sessionId = `${namespace}-1`): HubEvent => ({
  type: "message-received",
  namespace,
  sessionId,
  message: { seq: at, content: { text: "x".repeat(40) } },
});
const machine = (namespace = "default", machineId = `${namespace}-m`): HubEvent => ({
  type: "machine-updated",
  namespace,
  machineId,
  data: null,
});
const toast = { title: "Ready", body: "waiting", sessionId: "default-1", url: "/sessions/default-1" };
const seqs = (client: { readonly events: readonly { readonly data: { message?: { seq: number } } }[] }) =>
  client.events.flatMap(({ data }) => data.message?.seq ?? []);

describe("a stream", () => {
  test("begins with the first frame, and carries what was told as it was told, with ids that rise", async () => {
    const { events, listen } = opened();
    const client = await listen();
    expect(client.events).toEqual([
      {
        id: undefined,
        data: {
          type: "connection-changed",
          data: {
            status: "connected",
            subscriptionId: expect.stringMatching(/^[0-9a-f-]{36}$/),
            resume: "gap",
          },
        },
      },
    ]);
    const told: HubEvent[] = [message(1), machine(), message(2)];
    for (const one of told) events.broadcast(one);
    await client.has(4);
    expect(client.events.slice(1).map(({ data }) => data)).toEqual(told);
    const parts = client.ids.map((id) => id.split(":"));
    expect(parts.map(([, number]) => number)).toEqual(["1", "2", "3"]);
    expect(new Set(parts.map(([epoch, , tag]) => `${epoch} ${tag}`)).size).toBe(1);
  });

  test("hears what it asked for, and of another namespace nothing", async () => {
    const { events, listen } = opened();
    const queries = [
      "",
      "all=1",
      "sessionId=default-1",
      "machineId=default-m",
      "sessionId=default-2&machineId=default-m",
    ];
    const clients = await Promise.all(queries.map((query) => listen(query)));
    const others = await Promise.all(
      ["all=true&token=other", "sessionId=other-1&token=other"].map((query) => listen(query)),
    );
    events.broadcast(message(1));
    events.broadcast(message(2, "default", "default-2"));
    events.broadcast(machine());
    events.broadcast(message(3, "other"));
    events.broadcast({ type: "session-removed", namespace: "default", sessionId: "default-1" });
    events.broadcast({ type: "session-removed", namespace: "other", sessionId: "other-1" });
    for (const other of others) await other.has(3);
    await clients[1]?.has(5);
    const heard = (client: { readonly types: string[] }) => client.types.slice(1);
    expect(clients.map(heard)).toEqual([
      [],
      ["message-received", "message-received", "machine-updated", "session-removed"],
      ["message-received", "session-removed"],
      ["machine-updated"],
      ["message-received", "machine-updated"],
    ]);
    for (const other of others)
      expect(other.events.slice(1).map(({ data }) => [data.type, data.namespace])).toEqual([
        ["message-received", "other"],
        ["session-removed", "other"],
      ]);
  });
});

describe("who comes back", () => {
  test("gets what it missed, in order, before what happens now; nothing twice", async () => {
    const { events, listen } = opened();
    const client = await listen();
    for (let at = 1; at <= 5; at++) events.broadcast(message(at));
    await client.has(4);
    const third = client.ids[2] as string;
    client.close();
    for (let at = 6; at <= 8; at++) events.broadcast(message(at));
    for (const [query, headers] of [
      ["all=true", { "last-event-id": third }],
      [`all=true&lastEventId=${third}`, {}],
      [`all=true&lastEventId=${client.ids[0]}`, { "last-event-id": third }],
    ] as const) {
      const back = await listen(query, { headers });
      await back.has(6);
      expect(back.first.data.resume).toBe("ok");
      expect(seqs(back)).toEqual([4, 5, 6, 7, 8]);
      back.close();
    }
    const back = await listen("all=true", { headers: { "last-event-id": third } });
    events.broadcast(message(9));
    await back.has(7);
    expect(seqs(back)).toEqual([4, 5, 6, 7, 8, 9]);
    expect(new Set(back.ids).size).toBe(back.ids.length);
  });

  test("gets it through its own filter, and nothing of another namespace", async () => {
    const { events, listen } = opened();
    const client = await listen();
    events.broadcast(message(1));
    await client.has(2);
    const headers = { "last-event-id": client.lastId as string };
    events.broadcast(message(2, "default", "default-2"));
    events.broadcast(message(3, "other"));
    events.broadcast(message(4));
    events.broadcast(machine());
    expect(seqs(await listen("sessionId=default-2", { headers }))).toEqual([2]);
    expect((await listen("machineId=default-m", { headers })).types.slice(1)).toEqual(["machine-updated"]);
    expect((await listen("", { headers })).events.length).toBe(1);
    const foreign = await listen("all=true&token=other", { headers });
    expect([foreign.first.data.resume, foreign.events.length]).toEqual(["gap", 1]);
  });

  test("is told that it missed something where that is so, or cannot be known", async () => {
    const { events, listen } = opened();
    const client = await listen();
    for (let at = 1; at <= RING_EVENTS + 2; at++) events.broadcast(message(at));
    await client.has(RING_EVENTS + 3);
    const resumed = async (id: string) => {
      const back = await listen("all=true", { headers: { "last-event-id": id } });
      const { resume } = back.first.data;
      if (resume === "ok") await back.has(1 + RING_EVENTS + 2 - Number(id.split(":")[1]));
      const got = [resume, back.events.length - 1];
      back.close();
      return got;
    };
    const [epoch, , tag] = (client.ids[0] as string).split(":");
    expect(await resumed(client.ids[0] as string)).toEqual(["gap", 0]);
    expect(await resumed(client.ids[1] as string)).toEqual(["ok", RING_EVENTS]);
    expect(await resumed(client.ids[2] as string)).toEqual(["ok", RING_EVENTS - 1]);
    expect(await resumed(client.ids.at(-1) as string)).toEqual(["ok", 0]);
    for (const id of [
      `${epoch}:${RING_EVENTS + 3}:${tag}`,
      `${epoch}:0:${tag}`,
      `00000000:2:${tag}`,
      "nonsense",
    ])
      expect(await resumed(id)).toEqual(["gap", 0]);
  });

  test.each([false, true])(
    "again and again while much happens misses nothing and gets nothing twice (gzip: %p)",
    async (gzip) => {
      const { events, listen } = opened();
      let told = 0;
      const tell = () => events.broadcast(message(++told));
      const seen = Array.from({ length: 5 }, () => 0);
      const clients = seen.map(async (_, which) => {
        const got: number[] = [];
        let id: string | undefined;
        for (let round = 0; round < 20; round++) {
          const client = await listen("all=true", {
            gzip,
            headers: id === undefined ? {} : { "last-event-id": id },
          });
          if (id !== undefined) expect(client.first.data.resume).toBe("ok");
          await until("a few", () => seqs(client).length > (which + round) % 4);
          client.close();
          got.push(...seqs(client));
          id = client.lastId;
          seen[which] = got.at(-1) as number;
        }
        seen[which] = Number.POSITIVE_INFINITY;
        return got;
      });
      let isDone = false;
      const all = Promise.all(clients).finally(() => {
        isDone = true;
      });
      while (!isDone) {
        // Not so fast that the ring forgets what the slowest has not seen.
        const room = Math.min(...seen) + RING_EVENTS - told;
        for (let at = 0; at < Math.min(1 + (told % 5), room); at++) tell();
        await Bun.sleep(1);
      }
      for (const got of await all) {
        const first = got[0] as number;
        expect(got).toEqual(Array.from({ length: got.length }, (_, at) => first + at));
        expect(got.length).toBeGreaterThanOrEqual(20);
      }
    },
  );
});

describe("toasts", () => {
  test("go to visible streams of the namespace, whatever they ask for; they are not replayed", async () => {
    const { events, listen, show } = opened();
    const hidden = await listen();
    const visible = await listen("visibility=visible");
    const other = await listen("visibility=visible&token=other");
    events.broadcast(message(1));
    await hidden.has(2);
    expect(events.toast("default", toast)).toBe(1);
    await visible.has(2);
    expect(visible.events[1]).toEqual({ id: undefined, data: { type: "toast", data: toast } });
    expect((await show(hidden.subscriptionId, "visible")).status).toBe(200);
    expect((await show(visible.subscriptionId, "hidden")).status).toBe(200);
    expect(events.toast("default", toast)).toBe(1);
    await hidden.has(3);
    expect(events.toast("nobody", toast)).toBe(0);
    hidden.close();
    await until("it to go", () => events.size === 2);
    expect(events.toast("default", toast)).toBe(0);
    const back = await listen("all=true&visibility=visible", {
      headers: { "last-event-id": hidden.lastId as string },
    });
    expect([back.first.data.resume, back.events.length]).toEqual(["ok", 1]);
    expect([visible.events.length, other.events.length]).toEqual([2, 1]);
  });

  test("that go to a stream which takes nothing count as told to nobody", async () => {
    const { events, listen } = opened();
    const client = await listen("all=true&visibility=visible");
    client.pause();
    const told = () => events.toast("default", toast);
    await until("nobody to be told", () => {
      events.broadcast({
        type: "session-added",
        namespace: "default",
        sessionId: "s",
        data: { text: "x".repeat(100_000) },
      });
      return told() === 0;
    });
    const toasts = () => client.types.filter((type) => type === "toast").length;
    const shown = toasts();
    client.resume();
    await until("toasts that waited", () => toasts() > shown);
    await until("it to be told again", () => told() === 1);
  });
});

describe("heartbeats", () => {
  test("come to every stream as an event without an id, of its namespace, and stop with the last one", async () => {
    const { events, listen } = opened({ heartbeatMs: 50 });
    const clients = [await listen(""), await listen("token=other")];
    for (const [at, client] of clients.entries()) {
      await client.has(3);
      expect(client.events.slice(1, 3)).toEqual(
        Array.from({ length: 2 }, () => ({
          id: undefined,
          data: {
            type: "heartbeat",
            namespace: ["default", "other"][at],
            data: { timestamp: expect.any(Number) },
          },
        })),
      );
      expect(Math.abs(client.events[1]?.data.data.timestamp - Date.now())).toBeLessThan(60_000);
    }
    for (const client of clients) client.close();
    await until("both to go", () => events.size === 0);
    const again = await listen("");
    await again.has(2);
  });
});

test("a stream tells limits and the door again and again that an account is behind its connection", async () => {
  const { events } = opened({ heartbeatMs: 20 });
  const proved: string[] = [];
  const server = Bun.serve({
    port: 0,
    fetch: (request, bun) =>
      events.open(request, {
        namespace: "default",
        account: "hapi default",
        all: true,
        isVisible: false,
        facts: {
          clientAddress: "127.0.0.1",
          caller: { address: "127.0.0.1", authenticated: (account) => proved.push(account) },
          extendIdle: (seconds) => bun.timeout(request, seconds),
        },
      }) ?? new Response(null, { status: 503 }),
  });
  cleanup.push(() => server.stop(true));
  const client = await EventClient.open(`http://127.0.0.1:${server.port}/`);
  await until("it to be said several times", () => proved.length > 2);
  expect(new Set(proved)).toEqual(new Set(["hapi default"]));
  client.close();
});

describe("bounds", () => {
  test("of one namespace, of one address, and in all: a further stream is refused, and named", async () => {
    const sizes = { perNamespace: 100, perAddress: 100, inAll: 100 };
    const { listen, limits, events } = opened({
      limits: {
        perNamespace: () => sizes.perNamespace,
        perAddress: () => sizes.perAddress,
        get inAll() {
          return sizes.inAll;
        },
      },
    });
    const clients = await Promise.all([listen("token=a"), listen("token=a"), listen("token=b")]);
    const full = '503 {"error":"Too many event streams"}';
    sizes.perNamespace = 2;
    await expect(listen("token=a")).rejects.toThrow(full);
    (await listen("token=b")).close();
    await until("it to go", () => events.size === 3);
    sizes.perNamespace = 0;
    sizes.inAll = 3;
    await expect(listen("token=b")).rejects.toThrow(full);
    sizes.inAll = 100;
    // Private, and several accounts come from it: sixteen times as much.
    sizes.perAddress = 3 / 16;
    await expect(listen("token=b")).rejects.toThrow(full);
    expect(
      ["account-sockets", "hapi-event-streams", "hapi-event-streams-per-address"].map((name) =>
        limits.bounds.count(name),
      ),
    ).toEqual([1, 1, 1]);
    clients[0]?.close();
    await until("it to go", () => events.size === 2);
    await listen("token=b");
  });

  test("hold for streams that are opened at the same moment", async () => {
    let looking = 0;
    const { promise: all, resolve } = Promise.withResolvers<void>();
    const { listen, events } = opened({
      limits: { perNamespace: () => 5, perAddress: () => 100 },
      looking: () => {
        if (++looking === 40) resolve();
        return all;
      },
    });
    const clients = await Promise.allSettled(Array.from({ length: 40 }, () => listen("sessionId=default-1")));
    const open = clients.filter((one) => one.status === "fulfilled" && one.value.events.length > 0);
    expect([open.length, events.size]).toEqual([5, 5]);
  });

  test("a thousand clients that come and go leave nothing behind", async () => {
    const { events, streams, url, limits } = opened();
    const once = (round: number) =>
      new Promise<void>((resolve, reject) => {
        const path = `${url}/api/events?all=true&token=n${round % 50}`;
        const headers = round % 2 === 0 ? { "accept-encoding": "gzip" } : {};
        request(path, { headers, agent: new Agent() }, (response) => {
          response.once("data", () => {
            events.broadcast(message(round, `n${round % 50}`));
            response.destroy();
            resolve();
          });
          response.on("error", () => {});
        })
          .on("error", reject)
          .end();
      });
    const rounds = async (count: number) => {
      for (let round = 0; round < count; round += 20)
        await Promise.all(Array.from({ length: 20 }, (_, at) => once(round + at)));
      await until("all to be gone", () => events.keys === 0 && streams.size === 0);
      Bun.gc(true);
      return process.memoryUsage().rss;
    };
    await rounds(500);
    const before = await rounds(200);
    const after = await rounds(1_000);
    expect(limits.queues.held()).toBe(0);
    expect((after - before) / 2 ** 20).toBeLessThan(24);
  });
});

test("the door ends every stream when it closes, without waiting for its bound", async () => {
  const hub = opened();
  const clients = await Promise.all([hub.listen(), hub.listen("all=true", { gzip: true })]);
  const began = performance.now();
  await hub.door.close(20_000);
  expect(performance.now() - began).toBeLessThan(10_000);
  for (const client of clients) {
    await until("the end", () => client.ended !== undefined);
    expect(client.ended).toBe("whole");
  }
  expect(hub.events.keys).toBe(0);
});
