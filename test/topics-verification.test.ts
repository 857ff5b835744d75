// The contract's verification steps (section 15) and SQL checks (section 16) of durable topics, numbered as there: real server, real
// Socket.IO clients, real rows.
import type { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { eventsAfter } from "../src/topics/store/events.ts";
import { pruneEvents } from "../src/topics/store/retention.ts";
import { type OpenTopics, openTopics } from "./support/open-topics.ts";
import type { TestServer } from "./support/server.ts";
import {
  bodyOf,
  listener,
  login,
  openRows,
  signedToken,
  site,
  type TopicsUser,
  topicsServer,
} from "./support/topics-client.ts";

const ITEM_FIELDS = (
  "website_id id primary_domain domains cname line_group line_group_id line_group_name https_enabled status " +
  "cache_rule_id origin_mode origin_group_id origin_set_id origin_group_name redirect_url redirect_status_code " +
  "created_at updated_at"
)
  .split(" ")
  .sort();

const inAnHour = () => Math.floor(Date.now() / 1000) + 3600;

describe("verification steps", () => {
  let server: TestServer;
  let admin: TopicsUser;
  let rows: Database;
  let number = 0;
  const freshSite = () => site(`www${++number}.example.com`);
  const create = async () => (await admin.post("/websites/create", freshSite())).body.data.id as number;
  const lastEventId = () =>
    rows
      .query<{ m: number }, []>("SELECT coalesce(max(id), 0) AS m FROM ws_events WHERE topic = 'websites'")
      .get()?.m ?? 0;

  beforeAll(async () => {
    server = await topicsServer();
    admin = await login(server.url);
    rows = openRows(server);
  });
  afterAll(async () => {
    rows.close();
    await server.stop();
  });

  test("1: without any token a socket is refused with 1001 and never hears connected", async () => {
    const nobody = listener(server.url);
    const [error] = await nobody.until("connect_error");
    expect([error.message, error.data.code]).toEqual(["unauthorized", 1001]);
    expect(nobody.all("connected")).toEqual([]);
    nobody.close();
    // Where HAPI has the path too the connection is opened for its clients, and refused here as above.
    const strict = await topicsServer({ topicsRequireHttpToken: true, hapiEnabled: false });
    const plain = await fetch(`${strict.url}/socket.io/?EIO=4&transport=polling`);
    expect([plain.status, (await bodyOf(plain)).code]).toEqual([401, 1001]);
    await strict.stop();
  });

  test("2: with a valid auth.token connected arrives within 1 s, and there is no cookie", async () => {
    const heard = listener(server.url, { auth: { token: admin.token } });
    expect(await heard.until("connected", 1, 1_000)).toEqual([{ ok: true }]);
    heard.close();
    const open = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling`);
    await open.text();
    const answered = await admin.get("/me");
    expect([open.headers.get("set-cookie"), answered.headers.get("set-cookie")]).toEqual([null, null]);
  });

  test("3: request:websites gives exactly one list, whole and as of the last event", async () => {
    await create();
    const heard = await admin.connect();
    heard.socket.emit("request:websites");
    await heard.until("websites:initial");
    await heard.settled();
    const [list, ...more] = heard.all("websites:initial");
    expect(more).toEqual([]);
    for (const item of list.items) expect(Object.keys(item).sort()).toEqual(ITEM_FIELDS);
    const { total } = (await admin.get("/websites")).body.data;
    expect([list.total, list.items.length, list.lastEventId]).toEqual([total, total, lastEventId()]);
    heard.close();
  });

  test("4: a creation is heard once within 1 s, as its row", async () => {
    const heard = await admin.connect();
    const { status, body } = await admin.post(
      "/websites/create",
      site("first.example.org", "second.example.org"),
    );
    const [update] = await heard.until("websites:update", 1, 1_000);
    await heard.settled();
    expect([status, body.code, heard.all("websites:update").length]).toEqual([200, 0, 1]);
    expect([update.type, update.data.website_id, update.data.primary_domain, update.eventId]).toEqual([
      "add",
      body.data.id,
      "first.example.org",
      lastEventId(),
    ]);
    heard.close();
  });

  test("5: a change of status is heard once, with a greater event id", async () => {
    const id = await create();
    const before = lastEventId();
    const heard = await admin.connect();
    await admin.post("/websites/update", { id, status: "inactive" });
    await heard.until("websites:update");
    await heard.settled();
    const [update, ...more] = heard.all("websites:update");
    expect([update.type, update.data.website_id, update.data.status, more.length]).toEqual([
      "update",
      id,
      "inactive",
      0,
    ]);
    expect(update.eventId).toBeGreaterThan(before);
    heard.close();
  });

  test("6: a deletion is heard once, with the id", async () => {
    const id = await create();
    const heard = await admin.connect();
    await admin.post("/websites/delete", { ids: [id] });
    await heard.until("websites:update");
    await heard.settled();
    expect(heard.all("websites:update")).toEqual([
      { eventId: lastEventId(), type: "delete", data: { website_id: id, id } },
    ]);
    heard.close();
  });

  test("7: what was missed while away arrives in order, and nothing else", async () => {
    const first = await admin.connect();
    const known = (await first.ask("request:websites")).lastEventId;
    first.close();
    const id = await create();
    await admin.post("/websites/update", { id, status: "inactive" });
    await admin.post("/websites/delete", { ids: [id] });
    const back = await admin.connect();
    await back.ask("request:websites", { lastEventId: known });
    expect(back.all("websites:update").map(({ type }) => type)).toEqual(["add", "update", "delete"]);
    const ids = back.all("websites:update").map(({ eventId }) => eventId);
    expect(ids).toEqual([...ids].sort((a, b) => a - b));
    expect(back.all("websites:initial")).toEqual([]);
    back.close();
  });

  test("8 and 14: 500 missed events are replayed, 501 are not, and nobody below the pruned mark is", async () => {
    const fresh = await topicsServer({ topicsRetentionDays: 0, topicsRetentionMaxRows: 0 });
    const user = await login(fresh.url);
    const { id } = (await user.post("/websites/create", site("many.example.com"))).body.data;
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 50 }, () => user.post("/websites/update", { id })));
    }
    const heard = await user.connect();
    const ack = await heard.ask("request:websites", { lastEventId: 1 });
    expect([ack.mode, ack.reason, ack.count, ack.lastEventId]).toEqual(["incremental", "replay", 500, 501]);
    const ids = heard.all("websites:update").map(({ eventId }) => eventId);
    expect(ids).toEqual(Array.from({ length: 500 }, (_, index) => index + 2));
    expect(heard.all("websites:initial")).toEqual([]);

    heard.clear();
    await user.post("/websites/update", { id });
    await heard.until("websites:update");
    heard.clear();
    expect((await heard.ask("request:websites", { lastEventId: 1 })).reason).toBe("overflow");
    expect([heard.all("websites:initial").length, heard.all("websites:update").length]).toEqual([1, 0]);

    const database = openRows(fresh);
    database.run("DELETE FROM ws_events WHERE id <= 400");
    database.run("UPDATE ws_topic_state SET pruned_through_id = 400");
    database.close();
    heard.clear();
    expect((await heard.ask("request:websites", { lastEventId: 399 })).reason).toBe("pruned");
    expect([heard.all("websites:initial").length, heard.all("websites:update").length]).toEqual([1, 0]);
    heard.clear();
    expect((await heard.ask("request:websites", { lastEventId: 400 })).count).toBe(102);
    heard.close();
    await fresh.stop();
  });

  test("9: an expired token is refused with 1003, in the query with HTTP 401", async () => {
    const expired = await signedToken({ exp: Math.floor(Date.now() / 1000) - 1 });
    const heard = listener(server.url, { auth: { token: expired } });
    expect((await heard.until("connect_error"))[0].data.code).toBe(1003);
    heard.close();
    const answer = await fetch(`${server.url}/socket.io/?EIO=4&transport=polling&token=${expired}`);
    expect([answer.status, (await bodyOf(answer)).code]).toEqual([401, 1003]);
  });

  test("10: garbage, another secret, another issuer and alg none are refused with 1002", async () => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { uid: 1, sub: "admin", role: "admin", iss: "go_cmdb", exp: inAnHour() };
    for (const wrong of [
      "garbage",
      await signedToken({ exp: inAnHour() }, "go_cmdb", "another-secret"),
      await signedToken({ exp: inAnHour() }, "somebody"),
      `${part({ alg: "none", typ: "JWT" })}.${part(claims)}.`,
      await signedToken({}),
    ]) {
      const heard = listener(server.url, { auth: { token: wrong } });
      expect((await heard.until("connect_error"))[0].data.code).toBe(1002);
      heard.close();
    }
  });

  test("11: every change reaches every client once, and nobody who was refused", async () => {
    const stranger = listener(server.url, { auth: { token: "garbage" } });
    await stranger.until("connect_error");
    const clients = await Promise.all([admin.connect(), admin.connect(), admin.connect()]);
    const id = await create();
    await admin.post("/websites/update", { id, status: "inactive" });
    for (const client of clients) {
      await client.until("websites:update", 2);
      await client.settled();
      expect(client.all("websites:update").map(({ type }) => type)).toEqual(["add", "update"]);
      client.close();
    }
    expect(stranger.heard.map(({ event }) => event)).toEqual(["connect_error"]);
    stranger.close();
  });

  test("12: after a lost network a client comes back by itself, catches up, and goes on live", async () => {
    let last = 0;
    const heard = listener(server.url, {
      auth: { token: admin.token },
      reconnection: true,
      reconnectionDelay: 300,
      randomizationFactor: 0,
    });
    heard.socket.on("websites:update", ({ eventId }: { eventId: number }) => {
      last = eventId;
    });
    heard.socket.on("connected", () => heard.socket.emit("request:websites", { lastEventId: last }));
    await heard.until("websites:initial");
    const id = await create();
    await heard.until("websites:update");
    heard.clear();
    // The transport is cut without a closing handshake, as when a network goes away.
    heard.socket.io.engine.close();
    await heard.until("disconnect");
    await admin.post("/websites/update", { id, status: "inactive" });
    await admin.post("/websites/update", { id, status: "active" });
    await heard.until("websites:update", 2);
    await admin.post("/websites/delete", { ids: [id] });
    await heard.until("websites:update", 3);
    await heard.settled();
    expect(heard.all("websites:update").map(({ type, data }) => data.status ?? type)).toEqual([
      "inactive",
      "active",
      "delete",
    ]);
    expect(heard.all("websites:initial")).toEqual([]);
    heard.close();
  });

  test("13: {} and {lastEventId: 0} ask for the whole list", async () => {
    const heard = await admin.connect();
    for (const [round, payload] of [{}, { lastEventId: 0 }].entries()) {
      expect((await heard.ask("request:websites", payload)).reason).toBe("initial");
      expect(heard.all("websites:initial").length).toBe(round + 1);
    }
    heard.close();
  });

  test("16: a creation that fails leaves no row and no event", async () => {
    await admin.post("/websites/create", site("taken.example.com"));
    const heard = await admin.connect();
    const before = lastEventId();
    const { status, body } = await admin.post(
      "/websites/create",
      site("new.example.com", "taken.example.com"),
    );
    expect([status, body.code, body.data]).toEqual([409, 3002, null]);
    await heard.settled();
    expect([lastEventId(), heard.all("websites:update")]).toEqual([before, []]);
    expect((await admin.get("/websites?domain=new.example.com")).body.data.total).toBe(0);
    heard.close();
  });

  test("also: without realtime /socket.io/ is 404 and the API works; /ws answers nothing of topics", async () => {
    const plain = await topicsServer({ topicsRealtimeEnabled: false, hapiEnabled: false });
    const user = await login(plain.url);
    expect((await user.post("/websites/create", freshSite())).body.code).toBe(0);
    const closed = await fetch(`${plain.url}/socket.io/?EIO=4&transport=polling`);
    expect([closed.status, (await bodyOf(closed)).code]).toEqual([404, 3001]);
    const other = await fetch(`${server.url}/ws?EIO=4&transport=polling&token=${admin.token}`);
    expect(await other.text()).not.toContain("pingInterval");
    await plain.stop();
  });
});

describe("verification steps inside the room", () => {
  let opened: OpenTopics;
  let admin: TopicsUser;
  beforeAll(async () => {
    opened = await openTopics();
    admin = await login(opened.url);
  });
  afterAll(() => opened.close());

  test("15: a failing broadcast fails nobody's request, its event is stored, and comes later in order", async () => {
    const heard = await admin.connect();
    const adapter = opened.sockets?.namespace.adapter;
    if (adapter === undefined) throw new Error("no adapter");
    const broadcast = adapter.broadcast;
    adapter.broadcast = () => {
      throw new Error("stub");
    };
    const failed = await admin.post("/websites/create", site("silent.example.com"));
    adapter.broadcast = broadcast;
    await admin.post("/websites/create", site("loud.example.com"));
    expect([failed.status, failed.body.code]).toEqual([200, 0]);
    expect(opened.metrics.render()).toContain("realtime_publish_failures_total 1\n");
    expect(
      eventsAfter(opened.database.reads, "websites", 0, 10).map(({ data }) => data.primary_domain),
    ).toEqual(["silent.example.com", "loud.example.com"]);
    const updates = await heard.until("websites:update", 2);
    expect(updates.map(({ data }) => data.primary_domain)).toEqual([
      "silent.example.com",
      "loud.example.com",
    ]);
    heard.close();
  });
});

describe("SQL checks", () => {
  let opened: OpenTopics;
  let admin: TopicsUser;
  let rows: Database;
  let started = 0;
  const [e1, e2, x1, e3] = [1, 2, 3, 4];
  const ids = (sql: string) =>
    rows
      .query<{ id: number }, []>(sql)
      .all()
      .map(({ id }) => id);
  const count = (where: string) => ids(`SELECT id FROM ws_events WHERE ${where}`).length;

  beforeAll(async () => {
    opened = await openTopics();
    admin = await login(opened.url);
    rows = openRows(opened);
    started = Date.now();
    const {
      context: { store },
      websites,
      nodes,
    } = opened;
    const payload = { id: 1001 };
    await store.publish(websites, "add", payload);
    await store.publish(websites, "update", payload);
    await store.publish(nodes, "add", payload);
    await store.publish(websites, "delete", payload);
  });
  afterAll(async () => {
    rows.close();
    await opened.close();
  });

  test("1 and 2: the columns are the contract's, with an automatic key, and refuse null", () => {
    const columns = rows
      .query<{ name: string; notnull: number; pk: number }, []>("PRAGMA table_info(ws_events)")
      .all();
    expect(columns.map(({ name, pk }) => `${name}${pk ? "*" : ""}`)).toEqual([
      "id*",
      "topic",
      "event_type",
      "payload",
      "created_at",
    ]);
    const table = rows
      .query<{ sql: string }, []>("SELECT sql FROM sqlite_schema WHERE name = 'ws_events'")
      .get();
    expect(table?.sql).toContain("PRIMARY KEY AUTOINCREMENT");
    for (const values of ["NULL, 'add', '{}'", "'t', NULL, '{}'", "'t', 'add', NULL"]) {
      expect(() => rows.run(`INSERT INTO ws_events (topic, event_type, payload) VALUES (${values})`)).toThrow(
        "NOT NULL",
      );
    }
  });

  test("3: idx_topic_id covers (topic, id) in this order", () => {
    const columns = rows.query<{ name: string }, []>("PRAGMA index_info(idx_topic_id)").all();
    expect(columns.map(({ name }) => name)).toEqual(["topic", "id"]);
  });

  test("4 and 5: another type and invalid JSON are refused", () => {
    for (const values of ["'websites', 'rename', '{}'", "'websites', 'add', '{'"]) {
      expect(() => rows.run(`INSERT INTO ws_events (topic, event_type, payload) VALUES (${values})`)).toThrow(
        "CHECK",
      );
    }
  });

  test("6 to 9: three rows of websites, one of each type, and one of nodes", () => {
    expect([count("topic = 'websites'"), count("topic = 'nodes'")]).toEqual([3, 1]);
    for (const type of ["add", "update", "delete"]) {
      expect(count(`topic = 'websites' AND event_type = '${type}'`)).toBe(1);
    }
  });

  test("10 and 11: what comes after an id, in order, without the other topic", () => {
    const after = (id: number) =>
      eventsAfter(opened.database.reads, "websites", id, 501).map((event) => event.id);
    expect([after(e1), after(e2), after(e3)]).toEqual([[e2, e3], [e3], []]);
    expect(after(e1)).not.toContain(x1);
  });

  test("12 and 13: every payload is JSON with its id, written now", () => {
    const all = rows
      .query<{ payload: string; created_at: number }, []>("SELECT * FROM ws_events WHERE id <= 4")
      .all();
    expect(all.length).toBe(4);
    for (const { payload, created_at } of all) {
      expect(JSON.parse(payload)).toEqual({ id: 1001 });
      expect(Math.abs(created_at - started)).toBeLessThan(5_000);
    }
  });

  test("14: the largest id is the topic's last_event_id", () => {
    const state = rows
      .query<{ last_event_id: number; version: number; published: number }, []>(
        "SELECT * FROM ws_topic_state WHERE topic = 'websites'",
      )
      .get();
    expect(Math.max(...ids("SELECT id FROM ws_events WHERE topic = 'websites' AND id <= 4"))).toBe(e3);
    expect(state).toMatchObject({ last_event_id: e3, version: 3, published: 3 });
  });

  test("15: the order of the ids is the order of writing, and the times do not contradict it", () => {
    expect(ids("SELECT id FROM ws_events WHERE id <= 4 ORDER BY id")).toEqual([e1, e2, x1, e3]);
    expect(ids("SELECT id FROM ws_events WHERE id <= 4 ORDER BY created_at, id")).toEqual([e1, e2, x1, e3]);
  });

  test("16: a limit is kept", () => {
    const first = eventsAfter(opened.database.reads, "websites", e1 - 1, 2);
    expect(first.map(({ id }) => id)).toEqual([e1, e2]);
  });

  test("17: the replay query uses idx_topic_id", () => {
    const explain = rows.prepare<{ detail: string }, []>(
      "EXPLAIN QUERY PLAN SELECT id, event_type, payload FROM ws_events WHERE topic = 'websites' AND id > 1 ORDER BY id LIMIT 501",
    );
    const plan = explain.all();
    // Otherwise Bun leaves its read transaction open, and later checks would read old rows.
    explain.finalize();
    expect(plan.map(({ detail }) => detail).join()).toMatch(/SEARCH ws_events USING .*INDEX idx_topic_id/);
    expect(plan.length).toBe(1);
  });

  test("18: an id that was deleted is not given again", () => {
    rows.run("BEGIN");
    rows.run("DELETE FROM ws_events WHERE id >= 4");
    rows.run("INSERT INTO ws_events (topic, event_type, payload) VALUES ('websites', 'delete', '{}')");
    expect(Math.max(...ids("SELECT id FROM ws_events"))).toBeGreaterThan(e3);
    rows.run("ROLLBACK");
  });

  test("19: a creation writes one row, and clients get exactly its payload", async () => {
    const before = Math.max(...ids("SELECT id FROM ws_events"));
    const heard = await admin.connect();
    await admin.post("/websites/create", site("row.example.com"));
    const [update] = await heard.until("websites:update");
    const added = rows
      .query<{ id: number; event_type: string; payload: string }, [number]>(
        "SELECT * FROM ws_events WHERE id > ?",
      )
      .all(before);
    expect(added.map(({ id, event_type }) => [id, event_type])).toEqual([[update.eventId, "add"]]);
    expect(JSON.parse(added[0]?.payload ?? "")).toEqual(update.data);
    heard.close();
  });

  test("20: a retention of 7 days takes what is 8 days old, leaves 6 days, and remembers how far", async () => {
    const day = 86_400_000;
    const now = Date.now();
    rows.run("UPDATE ws_events SET created_at = ?", [now - 6 * day]);
    rows.run("UPDATE ws_events SET created_at = ? WHERE id <= 3", [now - 8 * day]);
    const left = ids("SELECT id FROM ws_events WHERE id > 3");
    expect(await pruneEvents(opened.database, { days: 7, maxRows: 0 }, [], now)).toBe(3);
    expect(ids("SELECT id FROM ws_events")).toEqual(left);
    const marks = rows
      .query<{ topic: string; mark: number }, []>(
        "SELECT topic, pruned_through_id AS mark FROM ws_topic_state ORDER BY topic",
      )
      .all();
    expect(marks).toEqual([
      { topic: "nodes", mark: x1 },
      { topic: "websites", mark: e2 },
    ]);
  });
});
