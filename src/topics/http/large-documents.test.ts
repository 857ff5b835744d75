// Documents are counted by bytes and not only by rows: a replay and a snapshot stay within a page, a page of the resource is written
// document by document and is whole.
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { parseConfig } from "../../../test/support/config.ts";
import type { TestServer } from "../../../test/support/server.ts";
import { login, type TopicsUser, topicsServer } from "../../../test/support/topics-client.ts";

setDefaultTimeout(60_000);

const TOPICS = JSON.stringify([{ name: "large", schema: true }]);
const DOCUMENTS = 9;
const text = (n: number) => `${n} "quoted" é😀`.padEnd(900_000, `${n}`);

let server: TestServer;
let admin: TopicsUser;
beforeAll(async () => {
  const { topics } = parseConfig({ topics: { value: TOPICS, source: "ROOST_TOPICS" } });
  server = await topicsServer({ topics });
  admin = await login(server.url);
  for (let n = 1; n <= DOCUMENTS; n++) await admin.post("/topics/large/create", { document: text(n) });
});
afterAll(() => server.stop());

const inPages = async (pageSize: number) => {
  const items: { id: number; document: string }[] = [];
  for (let page = 1; ; page++) {
    const { status, body } = await admin.get(`/topics/large?page=${page}&pageSize=${pageSize}`);
    expect([status, body.code, body.message, body.data.total, body.data.page, body.data.pageSize]).toEqual([
      200,
      0,
      "success",
      DOCUMENTS,
      page,
      pageSize,
    ]);
    if (body.data.items.length === 0) return items;
    items.push(...body.data.items);
  }
};

test.each([1_000, 4, 1])(
  "pages of %d walked to the end have every document once, newest first",
  async (pageSize) => {
    const items = await inPages(pageSize);
    expect(items.map(({ document }) => Number.parseInt(document, 10))).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1]);
    expect(items.every(({ document }, index) => document === text(DOCUMENTS - index))).toBe(true);
  },
);

test("a snapshot has the newest documents that fit into a page, and says how many there are", async () => {
  const client = await admin.connect();
  const ack = await client.ask("request:large");
  expect(ack).toMatchObject({ mode: "full", reason: "initial", count: 4 });
  const [snapshot] = await client.until("large:initial");
  expect([snapshot.items.length, snapshot.total, snapshot.items[0].document === text(9)]).toEqual([
    4,
    9,
    true,
  ]);
  client.close();
});

test("so many missed events as fit into a page are replayed; for more the list is sent instead", async () => {
  const client = await admin.connect();
  const { lastEventId } = await client.ask("request:large");
  expect(await client.ask("request:large", { lastEventId: lastEventId - 4 })).toMatchObject({
    mode: "incremental",
    reason: "replay",
    count: 4,
  });
  expect(await client.ask("request:large", { lastEventId: lastEventId - 5 })).toMatchObject({
    mode: "full",
    reason: "overflow",
    count: 4,
  });
  client.close();
});
