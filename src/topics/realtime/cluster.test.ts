// Two nodes, a client on each: both hear every event, and neither loses its place in the log of its own node.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { NO_COUNTERS } from "../../../test/support/hub-node.ts";
import { type OpenTopics, openTopics } from "../../../test/support/open-topics.ts";
import { type Listener, login, site, type TopicsUser } from "../../../test/support/topics-client.ts";
import { MemoryExchange } from "../../bus/memory.ts";
import { createLog } from "../../observability/log.ts";

interface Node {
  readonly opened: OpenTopics;
  readonly admin: TopicsUser;
  readonly client: Listener;
}

let a: Node;
let b: Node;
beforeEach(async () => {
  const exchange = new MemoryExchange();
  const node = async (): Promise<Node> => {
    const bus = exchange.join(createLog("silent"));
    const opened = await openTopics({}, { bus, counters: NO_COUNTERS, timeoutMs: 2_000 });
    const admin = await login(opened.url);
    return { opened, admin, client: await admin.connect() };
  };
  [a, b] = [await node(), await node()];
});
afterEach(async () => {
  for (const { client, opened } of [a, b]) {
    client.close();
    await opened.close();
  }
});

const heard = ({ client }: Node) =>
  client.all("websites:update").map(({ eventId, data }) => [eventId, data.primary_domain]);

test("an event is heard on both nodes, once", async () => {
  await a.admin.post("/websites/create", site("one.example.com"));
  await b.client.until("websites:update");
  await a.admin.post("/websites/create", site("two.example.com"));
  await b.client.until("websites:update", 2);
  await a.client.settled();
  expect(heard(a)).toEqual([
    [1, "one.example.com"],
    [2, "two.example.com"],
  ]);
  expect(heard(b).map(([, domain]) => domain)).toEqual(["one.example.com", "two.example.com"]);
});

test("the other node's events do not move a client's place in its own node's log", async () => {
  await b.admin.post("/websites/create", site("own1.example.com"));
  for (const name of ["x", "y", "z"]) await a.admin.post("/websites/create", site(`${name}.example.com`));
  const updates = await b.client.until("websites:update", 4);
  const place = updates.at(-1).eventId;
  expect(place).toBe(1);
  b.client.close();
  await b.admin.post("/websites/create", site("own2.example.com"));
  await b.admin.post("/websites/create", site("own3.example.com"));
  const back = await b.admin.connect();
  const ack = await back.ask("request:websites", { lastEventId: place });
  expect([ack.reason, ack.lastEventId]).toEqual(["replay", 3]);
  expect(back.all("websites:update").map(({ data }) => data.primary_domain)).toEqual([
    "own2.example.com",
    "own3.example.com",
  ]);
  back.close();
});
