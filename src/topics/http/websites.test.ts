// The websites resource over HTTP, with the event that each change fires: the contract's vectors, then what they leave open.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type OpenTopics, openTopics } from "../../../test/support/open-topics.ts";
import { type Listener, login, site, type TopicsUser } from "../../../test/support/topics-client.ts";

let opened: OpenTopics;
let admin: TopicsUser;
let phone: Listener;
beforeEach(async () => {
  opened = await openTopics();
  admin = await login(opened.url);
  phone = await admin.connect();
});
afterEach(async () => {
  phone.close();
  await opened.close();
});

const create = (body: object) => admin.post("/websites/create", body);
const fired = async () => {
  await phone.settled();
  const updates = phone.all("websites:update");
  phone.clear();
  return updates;
};
const W07 = {
  line_group_id: 1,
  domains: ["www.example.com", "example.com"],
  origin_mode: "redirect",
  redirect_url: "https://a.example",
};
const RFC3339 = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);

test("W07 to W12: create, update and delete, with their events and their replay", async () => {
  const created = await create(W07);
  const item = {
    website_id: 1,
    id: 1,
    primary_domain: "www.example.com",
    domains: ["www.example.com", "example.com"],
    cname: "default.cdn.invalid",
    line_group: "default",
    line_group_id: 1,
    line_group_name: "default",
    https_enabled: false,
    status: "active",
    origin_mode: "redirect",
    redirect_url: "https://a.example",
    redirect_status_code: 301,
    cache_rule_id: null,
    origin_group_id: null,
    origin_set_id: null,
    origin_group_name: null,
    created_at: RFC3339,
    updated_at: RFC3339,
  };
  expect(created.status).toBe(200);
  expect(created.body).toEqual({
    code: 0,
    message: "success",
    data: {
      id: 1,
      item,
      items: [
        { line: 1, created: true, website_id: 1, domains: ["www.example.com", "example.com"], error: null },
      ],
    },
  });
  expect(await fired()).toEqual([{ eventId: 1, type: "add", data: created.body.data.item }]);

  const updated = await admin.post("/websites/update", { id: 1, status: "inactive" });
  expect(updated.body.data).toEqual({ success: true, id: 1, item: { ...item, status: "inactive" } });
  expect(await fired()).toEqual([{ eventId: 2, type: "update", data: updated.body.data.item }]);
  expect((await admin.post("/websites/update", { id: 77 })).body.code).toBe(3001);

  const deleted = await admin.post("/websites/delete", { ids: [1, 999] });
  expect(deleted.body.data).toEqual({ success: true, deleted: 1, skipped: [999] });
  expect(await fired()).toEqual([{ eventId: 3, type: "delete", data: { website_id: 1, id: 1 } }]);
  const nothing = await admin.post("/websites/delete", { ids: [999] });
  expect([nothing.status, nothing.body.code]).toEqual([404, 3001]);
  expect((await admin.post("/websites/delete", { ids: [] })).body.code).toBe(2002);
  expect(await fired()).toEqual([]);

  const ack = await phone.ask("request:websites", { lastEventId: 1 });
  expect(ack).toEqual({ ok: true, mode: "incremental", reason: "replay", count: 2, lastEventId: 3 });
  expect((await fired()).map(({ eventId }) => eventId)).toEqual([2, 3]);
  expect(await phone.ask("request:websites", { lastEventId: 3 })).toEqual({
    ok: true,
    mode: "incremental",
    reason: "up_to_date",
    count: 0,
    lastEventId: 3,
  });
  expect(phone.heard).toEqual([]);
  expect(await phone.ask("request:websites", { lastEventId: 99 })).toMatchObject({
    mode: "full",
    reason: "ahead",
  });
  expect(phone.all("websites:initial")).toEqual([{ items: [], total: 0, version: 3, lastEventId: 3 }]);
});

test.each<[string, object, number, number]>([
  ["W08 a domain of another website", { domains: ["used.example.com"] }, 409, 3002],
  ["W08 group without a group", { origin_mode: "group" }, 400, 2001],
  ["W08 an unknown mode", { origin_mode: "x" }, 400, 2002],
  ["W08 an unknown line group", { line_group_id: 99 }, 404, 3001],
  ["no line group", { line_group_id: undefined }, 400, 2002],
  ["line group 0", { line_group_id: 0 }, 400, 2002],
  ["no domains", { domains: undefined }, 400, 2002],
  ["an empty list of domains", { domains: [] }, 400, 2002],
  ["what is not a domain", { domains: ["localhost"] }, 400, 2002],
  ["too many domains", { domains: Array.from({ length: 1_001 }, (_, n) => `d${n}.example.com`) }, 400, 2002],
  ["group 0", { origin_mode: "group", origin_group_id: 0 }, 400, 2001],
  ["manual without addresses", { origin_mode: "manual" }, 400, 2001],
  ["manual with no addresses", { origin_mode: "manual", origin_addresses: [] }, 400, 2001],
  ["an address without a role", { origin_mode: "manual", origin_addresses: [{ address: "x" }] }, 400, 2002],
  ["redirect without a URL", { redirect_url: undefined }, 400, 2001],
  ["redirect with a blank URL", { redirect_url: " " }, 400, 2001],
  ["a URL that is too long", { redirect_url: "x".repeat(2_049) }, 400, 2002],
  ["redirect with 307", { redirect_status_code: 307 }, 400, 2002],
  ["a negative cache rule", { cache_rule_id: -1 }, 400, 2002],
  ["certificate to select, none named", { https: { enabled: true, cert_mode: "select" } }, 400, 2001],
  ["ACME without provider and account", { https: { enabled: true } }, 400, 2001],
])("a creation with %s is refused and fires nothing", async (_name, change, status, code) => {
  await create(site("used.example.com"));
  await fired();
  const answer = await create({ ...W07, ...change });
  expect([answer.status, answer.body.code, answer.body.data]).toEqual([status, code, null]);
  expect(await fired()).toEqual([]);
  expect((await admin.get("/websites")).body.data.total).toBe(1);
});

test("keys in camelCase are understood, snake_case wins, and the answer is in snake_case", async () => {
  const { body } = await create({
    lineGroupId: 1,
    line_group_id: 1,
    domainsText: "camel.example.com",
    originMode: "group",
    origin_mode: "redirect",
    redirectUrl: "https://camel.example",
    redirectStatusCode: 302,
    cacheRuleId: 7,
    httpsEnabled: true,
    forceHttpsRedirect: true,
  });
  expect(body.data.item).toMatchObject({
    origin_mode: "redirect",
    redirect_url: "https://camel.example",
    redirect_status_code: 302,
    cache_rule_id: 7,
    https_enabled: true,
  });
  const https = await admin.get("/websites/1/https");
  expect(https.body.data.item).toMatchObject({ id: 1, website_id: 1, enabled: true, force_redirect: true });
});

test("each line of domainsText is a website; one that fails leaves the others alone", async () => {
  await create(site("used.example.com"));
  await fired();
  const { status, body } = await create({
    ...W07,
    domains: undefined,
    domainsText: "one.example.com two.example.com\n\nused.example.com\nlocalhost\nthree.example.com",
  });
  expect([status, body.data.id, body.data.item.primary_domain]).toEqual([200, 2, "one.example.com"]);
  expect(body.data.items).toEqual([
    { line: 1, created: true, website_id: 2, domains: ["one.example.com", "two.example.com"], error: null },
    {
      line: 3,
      created: false,
      website_id: null,
      domains: ["used.example.com"],
      error: "domain used.example.com already exists",
    },
    {
      line: 4,
      created: false,
      website_id: null,
      domains: ["localhost"],
      error: '"localhost" is not a domain',
    },
    { line: 5, created: true, website_id: expect.any(Number), domains: ["three.example.com"], error: null },
  ]);
  expect((await fired()).map(({ data }) => data.primary_domain)).toEqual([
    "one.example.com",
    "three.example.com",
  ]);
  const none = await create({ ...W07, domains: undefined, domainsText: "used.example.com" });
  expect([none.status, Object.keys(none.body.data)]).toEqual([200, ["items"]]);
  const unknown = await create({
    ...W07,
    domains: undefined,
    domainsText: "a.example.com",
    line_group_id: 9,
  });
  expect(unknown.body.code).toBe(3001);
  expect((await create({ ...W07, domains: undefined, domainsText: " \n " })).body.code).toBe(2002);
});

test("an update changes what it names and nothing else", async () => {
  await create({
    ...W07,
    cache_rule_id: 5,
    https: { enabled: true, cert_mode: "select", certificate_id: 3 },
  });
  const update = async (change: object) =>
    (await admin.post("/websites/update", { id: 1, ...change })).body.data.item;
  expect(await update({})).toMatchObject({ cache_rule_id: 5, https_enabled: true, status: "active" });
  expect(await update({ cache_rule_id: 0 })).toMatchObject({ cache_rule_id: null });
  expect(await update({ domains: ["new.example.com"] })).toMatchObject({
    primary_domain: "new.example.com",
    domains: ["new.example.com"],
  });
  expect(await update({ domainsText: "text.example.com other.example.com" })).toMatchObject({
    domains: ["text.example.com", "other.example.com"],
  });
  expect(await update({ origin_mode: "group", origin_group_id: 4 })).toMatchObject({
    origin_mode: "group",
    origin_group_id: 4,
    redirect_url: "",
    redirect_status_code: 0,
  });
  expect(await update({ origin_set_id: 8 })).toMatchObject({ origin_group_id: 4, origin_set_id: 8 });
  // The set went with the mode that it was given for.
  expect((await admin.post("/websites/update", { id: 1, origin_mode: "manual" })).body.code).toBe(2001);
  expect(await update({ origin_mode: "redirect", redirect_url: "/x" })).toMatchObject({
    origin_group_id: null,
    origin_set_id: null,
    redirect_status_code: 301,
  });
  expect(await update({ https_enabled: false })).toMatchObject({ https_enabled: false });
  const { item } = (await admin.get("/websites/1/https")).body.data;
  expect([item.enabled, item.cert_mode, item.certificate_id]).toEqual([false, "select", 3]);
  expect((await fired()).length).toBe(9);
});

test.each<[string, object, number, number]>([
  ["without an id", { id: undefined }, 400, 2002],
  ["of an unknown website", { id: 99 }, 404, 3001],
  ["to an unknown line group", { line_group_id: 99 }, 404, 3001],
  ["to an unknown status", { status: "gone" }, 400, 2002],
  ["to a domain of another website", { domains: ["used.example.com"] }, 409, 3002],
  ["to two websites", { domainsText: "a.example.com\nb.example.com" }, 400, 2002],
  ["to a mode without its fields", { origin_mode: "manual" }, 400, 2001],
])("an update %s is refused and fires nothing", async (_name, change, status, code) => {
  await create(W07);
  await create(site("used.example.com"));
  await fired();
  const answer = await admin.post("/websites/update", { id: 1, ...change });
  expect([answer.status, answer.body.code]).toEqual([status, code]);
  expect(await fired()).toEqual([]);
  expect((await admin.get("/websites/1")).body.data.item.domains).toEqual(W07.domains);
});

test("origin addresses are kept as they were given", async () => {
  const addresses = [
    { role: "primary", protocol: "https", address: "10.0.0.1:443", weight: 5, enabled: true },
  ];
  const { body } = await create({ ...W07, origin_mode: "manual", origin_addresses: addresses });
  expect(body.data.item).toMatchObject({ origin_mode: "manual", redirect_url: "", redirect_status_code: 0 });
  const rows = opened.database.reads.all<{ kept: string }>("SELECT origin_addresses AS kept FROM websites");
  expect(JSON.parse(rows[0]?.kept ?? "")).toEqual(addresses);
  const updated = await admin.post("/websites/update", { id: 1, status: "inactive" });
  expect(updated.body.data.item).toMatchObject({ origin_mode: "manual", status: "inactive" });
});

test("another line group brings its cname to every domain", async () => {
  await create(W07);
  await opened.database.writer.run((db) =>
    db.run("INSERT INTO line_groups VALUES (2, 'second', 'second', 'second.cdn.invalid', 'active', 1, 1)"),
  );
  const { body } = await admin.post("/websites/update", { id: 1, line_group_id: 2 });
  expect(body.data.item).toMatchObject({
    line_group_id: 2,
    line_group: "second",
    cname: "second.cdn.invalid",
  });
});

test("W13: lists are paged, newest first, and filtered", async () => {
  for (let number = 1; number <= 17; number++) await create(site(`s${number}.example.com`));
  await create(site("other.test.org"));
  await admin.post("/websites/update", { id: 3, status: "inactive" });
  const list = async (query: string) => (await admin.get(`/websites?${query}`)).body.data;
  const first = await list("page=1&pageSize=15");
  expect([first.items.length, first.items[0].id, first.total, first.page, first.pageSize]).toEqual([
    15, 18, 18, 1, 15,
  ]);
  expect((await list("page=2")).items.map(({ id }: { id: number }) => id)).toEqual([3, 2, 1]);
  expect((await list("pageSize=0&page=-3")).items.length).toBe(15);
  expect((await list("pageSize=100000")).pageSize).toBe(1_000);
  expect((await list("domain=EXAMPLE")).total).toBe(17);
  expect((await list("domain=s1.")).items.map(({ id }: { id: number }) => id)).toEqual([1]);
  expect((await list("status=inactive")).items.map(({ id }: { id: number }) => id)).toEqual([3]);
  expect((await list("domain=%25")).total).toBe(0);
  for (const query of ["page=x", "pageSize=1.5", "status=gone"]) {
    expect((await admin.get(`/websites?${query}`)).body.code).toBe(2002);
  }
});

test("one website, its HTTPS settings, and how unknown ones are answered", async () => {
  await create(W07);
  expect((await admin.get("/websites/1")).body.data.item.id).toBe(1);
  expect((await admin.get("/websites/1/https")).body.data.item).toEqual({
    id: null,
    website_id: null,
    enabled: false,
    force_redirect: false,
    hsts: false,
    cert_mode: "acme",
    certificate_id: null,
    acme_provider_id: null,
    acme_account_id: null,
    created_at: null,
    updated_at: null,
  });
  for (const path of ["/websites/2", "/websites/2/https", "/websites/-1"]) {
    const { status, body } = await admin.get(path);
    expect([status, body.code]).toEqual([404, 3001]);
  }
  for (const path of ["/websites/one", "/websites/1.5"]) expect((await admin.get(path)).body.code).toBe(2002);
});

test("a deletion takes domains and settings along, so that the domain is free again", async () => {
  await create({ ...W07, https_enabled: true });
  await admin.post("/websites/delete", { ids: [1] });
  const again = await create(W07);
  expect([again.body.data.id, again.body.data.item.https_enabled]).toEqual([2, false]);
});
