// DiscoveryService over a whole server (V48, V49 without the gateway): registering, finding, watching, by tenant; an instance is looked at by
// asking its own HealthService, and an instance of this very server works unchanged.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { rpcServer } from "./support/rpc-document-server.ts";
import {
  type Json,
  KEY,
  READER_KEY,
  SECURED,
  type Served,
  served,
  stopServers,
} from "./support/rpc-server.ts";
import { until } from "./support/until.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);
afterAll(stopServers);

const FAST = { discovery: { check_interval_ms: 100 } };
const instance = (id: string, more: Record<string, unknown> = {}) => ({
  instance_id: id,
  service_name: "Pay",
  host: "127.0.0.1",
  port: 1,
  ...more,
});
const as = (tenant: string) => ({ "x-tenant-id": tenant });

/** Says what it is told to; one more instance of a service. */
function answering() {
  let status: unknown = "healthy";
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => Response.json({ status: "success", result: { status } }),
  });
  return {
    port: server.port,
    say: (next: unknown) => {
      status = next;
    },
    stop: () => server.stop(true),
  };
}

const healthOf = async ({ call }: Served, id: string): Promise<unknown> =>
  (await call("DiscoveryService/List")).body.result.instances.find((one: Json) => one.instance_id === id)
    ?.health;

test("instances are registered, found by their weights, and gone when they say so or say nothing", async () => {
  const server = await served();
  const { call, post } = server;
  const registered = await post("/v2/DiscoveryService/Register", { instance: instance("a", { weight: 3 }) });
  expect(registered.status).toBe(200);
  expect(registered.body).toEqual({
    instance_id: "a",
    health: "unknown",
    ttl_seconds: 30,
    expires_at_ms: expect.any(Number),
  });
  await call("DiscoveryService/Register", {
    instance: instance("b", { weight: 1, scheme: "grpc", ttl_seconds: 1 }),
  });
  const chosen: string[] = [];
  for (let n = 0; n < 4; n++)
    chosen.push(
      (await call("DiscoveryService/Resolve", { service_name: "Pay" })).body.result.instance.instance_id,
    );
  expect(chosen.sort()).toEqual(["a", "a", "a", "b"]);
  await until(
    "the one that says nothing is gone",
    async () => (await call("DiscoveryService/List")).body.result.instances.length === 1,
  );
  expect((await call("DiscoveryService/Renew", { instance_id: "b" })).body.error.code).toBe(4000);
  expect(
    (await call("DiscoveryService/Renew", { instance_id: "a" })).body.result.expires_at_ms,
  ).toBeGreaterThan(Date.now());
  for (const removed of [true, false])
    expect((await call("DiscoveryService/Deregister", { instance_id: "a" })).body.result).toEqual({
      removed,
    });
  const none = await call("DiscoveryService/Resolve", { service_name: "Pay" });
  expect([none.status, none.body.error.code, none.body.error.details[0].type]).toEqual([
    503,
    5002,
    "aduib.rpc/no_instance",
  ]);
});

test.each<[string, Record<string, unknown>, number, string]>([
  ["a link local address", { host: "169.254.169.254" }, 2003, "instance.host"],
  ["an address outside", { host: "8.8.8.8" }, 2003, "instance.host"],
  ["no host", { host: "a b" }, 2003, "instance.host"],
  ["port 0", { port: 0 }, 2001, "data.instance.port"],
  ["a port above all", { port: 65_536 }, 2001, "data.instance.port"],
  ["no scheme that there is", { scheme: "ftp" }, 2001, "data.instance.scheme"],
  ["no name", { instance_id: undefined }, 2001, "data.instance.instance_id"],
  ["a service that is no name", { service_name: "a|b" }, 2001, "data.instance.service_name"],
])("an instance with %s is refused", async (_name, more, code, field) => {
  const { call } = await shared();
  const { body, status } = await call("DiscoveryService/Register", { instance: instance("x", more) });
  expect([status, body.error.code, body.error.details[0].field]).toEqual([400, code, field]);
});

let one: Promise<Served> | undefined;
const shared = (): Promise<Served> => {
  one ??= served();
  return one;
};

test("an unhealthy instance is not chosen, a recovered one is again; a check writes what it found (V49)", async () => {
  const server = await served(FAST);
  const { call } = server;
  const [heavy, light] = [answering(), answering()];
  await call("DiscoveryService/Register", { instance: instance("heavy", { port: heavy.port, weight: 3 }) });
  await call("DiscoveryService/Register", { instance: instance("light", { port: light.port, weight: 1 }) });
  await until(
    "both are healthy",
    async () =>
      (await healthOf(server, "heavy")) === "healthy" && (await healthOf(server, "light")) === "healthy",
  );
  heavy.say("unhealthy");
  await until("it is unhealthy", async () => (await healthOf(server, "heavy")) === "unhealthy");
  const list = (await call("DiscoveryService/List", { healthy_only: true })).body.result.instances;
  expect(list).toMatchObject([
    { instance_id: "light", health: "healthy", last_health_check_ms: expect.any(Number) },
  ]);
  for (let n = 0; n < 10; n++)
    expect(
      (await call("DiscoveryService/Resolve", { service_name: "Pay" })).body.result.instance.instance_id,
    ).toBe("light");
  heavy.say("healthy");
  await until("it is healthy again", async () => (await healthOf(server, "heavy")) === "healthy");
  const ids: string[] = [];
  for (let n = 0; n < 4; n++)
    ids.push(
      (await call("DiscoveryService/Resolve", { service_name: "Pay" })).body.result.instance.instance_id,
    );
  expect(ids.sort()).toEqual(["heavy", "heavy", "heavy", "light"]);
  await light.stop();
  await until("nobody answers there", async () => (await healthOf(server, "light")) === "unhealthy");
  await heavy.stop();
});

test("a server of this kind is an instance as it is: its own HealthService answers", async () => {
  const [server, other] = [await served(FAST), await served()];
  const port = Number(new URL(other.base).port);
  for (const service_name of ["EchoService", "NopeService"])
    await server.call("DiscoveryService/Register", {
      instance: instance(service_name, { service_name, port }),
    });
  await until("it is healthy", async () => (await healthOf(server, "EchoService")) === "healthy");
  await other.call("SystemService/Drain", { service: "EchoService" });
  await until("it is drained", async () => (await healthOf(server, "EchoService")) === "unhealthy");
  const named = (await server.call("DiscoveryService/List", { service_name: "NopeService" })).body.result
    .instances[0];
  expect(named).toMatchObject({ health: "unknown", last_health_check_ms: expect.any(Number) });
  expect(
    (await server.call("DiscoveryService/Resolve", { service_name: "NopeService" })).body.error.code,
  ).toBe(5002);
});

test("two tenants at once see and choose their own only (V48)", async () => {
  const { call } = await served();
  for (const tenant of ["a", "b"])
    await call("DiscoveryService/Register", { instance: instance(`of-${tenant}`) }, {}, as(tenant));
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => (n % 2 === 0 ? "a" : "b")).map(async (tenant) => {
      const { body } = await call("DiscoveryService/Resolve", { service_name: "Pay" }, {}, as(tenant));
      expect(body.result.instance.instance_id).toBe(`of-${tenant}`);
      expect((await call("DiscoveryService/List", null, {}, as(tenant))).body.result.instances).toHaveLength(
        1,
      );
    }),
  );
  expect(
    (await call("DiscoveryService/Deregister", { instance_id: "of-a" }, {}, as("b"))).body.result,
  ).toEqual({ removed: false });
});

describe("who may register", () => {
  const register = { instance: instance("x") };

  test("without roles: who is proved, or a program on this machine", async () => {
    const { call } = await served({ security: { api_keys: SECURED.security.api_keys } });
    const elsewhere = { "x-forwarded-for": "203.0.113.9" };
    for (const method of ["Register", "Renew", "Deregister"])
      expect(
        (await call(`DiscoveryService/${method}`, { ...register, instance_id: "x" }, {}, elsewhere)).body
          .error.code,
      ).toBe(3011);
    expect((await call("DiscoveryService/Register", register)).status).toBe(200);
    expect(
      (await call("DiscoveryService/Register", register, {}, { ...elsewhere, "x-api-key": READER_KEY }))
        .status,
    ).toBe(200);
    expect((await call("DiscoveryService/List", null, {}, elsewhere)).body.result.instances).toHaveLength(1);
  });

  test("with roles: who has the permission, and another one to share", async () => {
    const roles = [
      { name: "reader", permissions: [{ resource: "discovery", action: "write" }] },
      { name: "sharer", permissions: [{ resource: "discovery", action: "*" }] },
    ];
    const { call } = await served({ security: { ...SECURED.security, roles } });
    const key = { "x-api-key": READER_KEY };
    expect((await call("DiscoveryService/Register", register)).body.error.code).toBe(3000);
    expect((await call("DiscoveryService/Register", register, {}, key)).status).toBe(200);
    const shared = await call("DiscoveryService/Register", { ...register, shared: true }, {}, key);
    expect(shared.body.error).toMatchObject({
      code: 3011,
      details: [{ metadata: { resource: "discovery", action: "share" } }],
    });
    expect((await call("DiscoveryService/List", null, {}, key)).body.error.code).toBe(3011);
    await call(
      "DiscoveryService/Register",
      { instance: instance("s"), shared: true },
      {},
      { "x-api-key": KEY },
    );
    const seen = await call("DiscoveryService/List", null, {}, { "x-api-key": KEY, ...as("elsewhere") });
    expect(seen.body.result.instances.map((one: Json) => one.instance_id)).toEqual(["s"]);
  });
});

test("is watched: what there is, then each change", async () => {
  const { base, call } = await served();
  await call("DiscoveryService/Register", { instance: instance("a") });
  const leaving = new AbortController();
  const answer = await fetch(`${base}/v2/DiscoveryService/Watch`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-aduib-stream-shape": "response" },
    body: JSON.stringify({ service_name: "Pay" }),
    signal: leaving.signal,
  });
  let text = "";
  const reading = (async () => {
    for await (const bytes of answer.body as ReadableStream<Uint8Array>)
      text += Buffer.from(bytes).toString();
  })().catch(() => {});
  const seen = (): Json[] => [...text.matchAll(/^data: (.*)$/gm)].map(([, json = ""]) => JSON.parse(json));
  await until("what there is", () => seen().length === 1);
  await call("DiscoveryService/Register", { instance: instance("other") }, {}, as("other"));
  await call("DiscoveryService/Register", { instance: instance("b") });
  await call("DiscoveryService/Register", { instance: instance("b", { weight: 5 }) });
  await call("DiscoveryService/Deregister", { instance_id: "b" });
  await until("all changes", () => seen().length === 4);
  expect(seen()).toMatchObject([
    { instances: [{ instance_id: "a" }] },
    { added: { instance_id: "b" } },
    { changed: { weight: 5 } },
    { removed: { instance_id: "b" } },
  ]);
  leaving.abort();
  await reading;
});

test("registrations outlive a restart; an instance that says too much of itself is refused", async () => {
  const server = await rpcServer();
  try {
    const registered = await server.call("DiscoveryService/Register", {
      instance: instance("a", { ttl_seconds: 600, tags: ["x"] }),
    });
    expect(registered).toMatchObject({ status: 200 });
    const methods = [{ note: "x".repeat(65_536) }];
    const large = { instance: instance("b", { capabilities: { methods } }) };
    expect(await server.call("DiscoveryService/Register", large)).toMatchObject({
      status: 400,
      body: { error: { code: 2003, details: [{ field: "instance" }] } },
    });
    await server.restart();
    const { instances } = (await server.call("DiscoveryService/List")).body.result;
    expect(instances).toMatchObject([{ instance_id: "a", health: "unknown", tags: ["x"] }]);
    expect((await server.call("DiscoveryService/Renew", { instance_id: "a" })).status).toBe(200);
    expect((await server.call("DiscoveryService/Deregister", { instance_id: "a" })).body.result).toEqual({
      removed: true,
    });
    await server.restart();
    expect((await server.call("DiscoveryService/List")).body.result.instances).toEqual([]);
  } finally {
    await server.stop();
  }
});
