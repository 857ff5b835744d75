// Whatever Expo answers, every message gets its verdict.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { tcpProxy } from "../../../test/support/tcp-proxy.ts";
import { deadlineIn } from "../deadline.ts";
import { Expo, type ExpoMessage } from "./expo.ts";

let service: ExpoService;
let expo: Expo;
beforeEach(() => {
  service = expoService();
  expo = new Expo(`${service.url}/`);
});
afterEach(() => service.stop());

const MESSAGE: ExpoMessage = { title: "t", body: "b", data: {}, sound: "default", channelId: "messages" };
const patient = () => deadlineIn(5_000);

test("a known device gets a ticket, an unknown one is dead", async () => {
  service.devices.add("here");
  const verdicts = await expo.send(["here", "gone"], MESSAGE, patient());
  expect(verdicts).toEqual([
    { ok: true, ticket: service.tickets[0] },
    { ok: false, reason: "DeviceNotRegistered", dead: true },
  ]);
  expect(service.requests[0]?.path).toBe("/--/api/v2/push/send");
  expect(service.requests[0]?.headers["content-type"]).toBe("application/json");
  expect(service.requests[0]?.headers.authorization).toBeUndefined();
});

test("messages go in batches of at most 100, verdicts stay in their order", async () => {
  const names = Array.from({ length: 201 }, (_, index) => `device ${index}`);
  for (const name of names) if (name !== "device 150") service.devices.add(name);
  const verdicts = await expo.send(names, MESSAGE, patient());
  // At the same time, so in any order.
  expect(service.requests.map(({ body }) => body.length).sort((a, b) => b - a)).toEqual([100, 100, 1]);
  expect(verdicts).toHaveLength(201);
  expect(verdicts.findIndex(({ ok }) => !ok)).toBe(150);
});

test("at most six requests of one push are under way", async () => {
  const gate = Promise.withResolvers<void>();
  service.broken = { after: gate.promise };
  const names = devices(1_000);
  const sending = failures(names);
  while (service.requests.length < 6) await Bun.sleep(5);
  await Bun.sleep(50);
  expect(service.requests).toHaveLength(6);
  gate.resolve();
  expect(await sending).toEqual({});
  expect(service.requests).toHaveLength(10);
});

describe("an answer that is not one", () => {
  const reasons = async () =>
    (await expo.send(["a", "b"], MESSAGE, deadlineIn(200))).map((verdict) =>
      verdict.ok ? "ok" : verdict.reason,
    );
  const answers: [string, unknown, string[]][] = [
    ["a failing status", { status: 502 }, ["HTTP 502", "HTTP 502"]],
    ["no JSON", { raw: "<html>" }, ["Network error", "Network error"]],
    ["JSON of another shape", { raw: '{"data":{"status":"ok"}}' }, ["Network error", "Network error"]],
    ["null", { raw: "null" }, ["Network error", "Network error"]],
    ["too few tickets", { raw: '{"data":[{"status":"ok"}]}' }, ["ok", "unknown"]],
    [
      "tickets with odd fields",
      { raw: '{"data":[{"status":"error","message":5,"details":[]},{"status":"ok","id":7}]}' },
      ["unknown", "ok"],
    ],
    [
      "a message without a code",
      { raw: '{"data":[{"status":"error","message":"why"},"x"]}' },
      ["why", "unknown"],
    ],
    ["silence past the deadline", { silent: true }, ["Network error", "Network error"]],
    [
      "far too much",
      { raw: `{"data":[{"status":"ok"},{"status":"ok"}],"more":"${"x".repeat(2_000_000)}"}` },
      ["Network error", "Network error"],
    ],
  ];
  test.each(answers)("%s", async (_, broken, expected) => {
    service.broken = broken as ExpoService["broken"];
    expect(await reasons()).toEqual(expected);
  });

  test("nobody there", async () => {
    await service.stop();
    expect(await reasons()).toEqual(["Network error", "Network error"]);
  });
});

test("the deadline holds for all batches together", async () => {
  service.broken = { silent: true };
  const startedAt = performance.now();
  const verdicts = await expo.send(
    Array.from({ length: 500 }, (_, index) => `${index}`),
    MESSAGE,
    deadlineIn(300),
  );
  expect(verdicts.every((verdict) => !verdict.ok && verdict.reason === "Network error")).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

/** Names of the devices whose message failed, with the reason. */
async function failures(names: readonly string[], deadline = patient()) {
  const verdicts = await expo.send(names, MESSAGE, deadline);
  expect(verdicts).toHaveLength(names.length);
  return Object.fromEntries(
    verdicts.flatMap((verdict, place) => (verdict.ok ? [] : [[names[place], verdict.reason]])),
  );
}
const devices = (count: number) => {
  const names = Array.from({ length: count }, (_, index) => `device ${index}`);
  for (const name of names) service.devices.add(name);
  return names;
};

describe("a batch that is refused as a whole", () => {
  test("is split by the projects that Expo names, and every device gets its push", async () => {
    const names = devices(5);
    service.projects.set("device 1", "@other/app").set("device 3", "@other/app");
    expect(await failures(names)).toEqual({});
    expect(service.requests.map(({ body }) => body.length)).toEqual([5, 3, 2]);
  });

  test.each([400, 413, 422])("with %i is split", async (status) => {
    const names = devices(4);
    service.breaks.push({ status });
    expect(await failures(names)).toEqual({});
    expect(service.requests.map(({ body }) => body.length)).toEqual([4, 2, 2]);
  });

  test("of two devices where one is bad by itself fails for that one only", async () => {
    const names = devices(2);
    service.projects.set("device 1", "@other/app");
    service.refused.add("device 1");
    expect(await failures(names)).toEqual({ "device 1": "HTTP 400" });
    expect(service.tickets).toHaveLength(1);
  });

  test("is halved where Expo does not say why, until the bad ones stand alone", async () => {
    const names = devices(100);
    const bad = ["device 0", "device 42", "device 99"];
    for (const name of bad) service.refused.add(name);
    expect(await failures(names)).toEqual(Object.fromEntries(bad.map((name) => [name, "HTTP 400"])));
    expect(service.tickets).toHaveLength(97);
    expect(service.requests.length).toBeLessThan(60);
  });

  test("is halved where two projects are mixed and Expo does not say which", async () => {
    const names = devices(9);
    service.projects.set("device 4", "@other/app");
    service.saysProjects = false;
    expect(await failures(names)).toEqual({});
    expect(service.tickets).toHaveLength(9);
  });

  test.each([
    ["a device by its own name", { "device 1": "is no token" }],
    ["a device as the value", { problem: "device 1" }],
    ["devices that were not sent, and odd things", { x: ["other"], y: 5, z: null, "device 1": [{}] }],
    ["everything in one group", { all: ["device 0", "device 1", "device 2"] }],
  ])("is split by details that name %s", async (_, details) => {
    const names = devices(3);
    service.refused.add("device 1");
    service.breaks.push({ status: 400, raw: JSON.stringify({ errors: [{ details }] }) });
    expect(await failures(names)).toEqual({ "device 1": "HTTP 400" });
  });

  test("with status 200 is a refusal all the same", async () => {
    const names = devices(2);
    service.breaks.push({ raw: '{"errors":[{"code":"PUSH_TOO_MANY_EXPERIENCE_IDS"}]}' });
    expect(await failures(names)).toEqual({});
  });

  test.each([401, 403, 404, 410])("with %i is not asked again, in no part", async (status) => {
    const names = devices(3);
    service.broken = { status };
    const reason = `HTTP ${status}`;
    expect(await failures(names)).toEqual({ "device 0": reason, "device 1": reason, "device 2": reason });
    expect(service.requests).toHaveLength(1);
  });

  test("by a service that refuses everything ends soon, each once alone", async () => {
    const names = devices(100);
    service.broken = { status: 400 };
    expect(Object.keys(await failures(names))).toHaveLength(100);
    expect(service.requests.length).toBe(199);
  });
});

describe("what passes is asked again", () => {
  test.each<[string, ExpoService["breaks"][number]]>([
    ["429", { status: 429 }],
    ["500", { status: 500 }],
    ["503 with a page", { status: 503, raw: "<html>busy</html>" }],
    ["a page of a proxy in between", { raw: "<html>sign in</html>" }],
  ])("%s", async (_, broken) => {
    const names = devices(2);
    service.breaks.push(broken);
    expect(await failures(names)).toEqual({});
    expect(service.requests).toHaveLength(2);
  });

  test("a connection that is refused, and one that is lost before the answer", async () => {
    const names = devices(1);
    const proxy = await tcpProxy(Number(new URL(service.url).port));
    expo = new Expo(`http://127.0.0.1:${proxy.port}`);
    proxy.cut();
    setTimeout(() => proxy.restore(), 200);
    expect(await failures(names)).toEqual({});
    expect(service.requests).toHaveLength(1);
    service.breaks.push({ silent: true });
    const pushing = failures(names);
    while (service.requests.length < 2) await Bun.sleep(5);
    proxy.cut();
    proxy.restore();
    expect(await pushing).toEqual({});
    expect(service.requests).toHaveLength(3);
    proxy.stop();
  });

  test("no sooner than the service asks for, in seconds or as a date by its own clock", async () => {
    const names = devices(1);
    const yearsOff = Date.parse("2031-01-01T00:00:00Z");
    const date = (ms: number) => new Date(yearsOff + ms).toUTCString();
    const asked: Record<string, string>[] = [
      { "retry-after": "1" },
      { date: date(0), "retry-after": date(1_000) },
    ];
    for (const headers of asked) {
      const startedAt = performance.now();
      service.breaks.push({ status: 429, headers });
      expect(await failures(names)).toEqual({});
      expect(performance.now() - startedAt).toBeGreaterThanOrEqual(990);
      expect(performance.now() - startedAt).toBeLessThan(4_000);
    }
  });

  test("never past the deadline: one that asks for longer fails at once, and says why", async () => {
    const names = devices(1);
    service.broken = { status: 429, headers: { "retry-after": "60" } };
    const startedAt = performance.now();
    expect(await failures(names)).toEqual({ "device 0": "HTTP 429" });
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    service.broken = { status: 503 };
    expect(await failures(names, deadlineIn(2_000))).toEqual({ "device 0": "HTTP 503" });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
    // At once, and after 0.5 s and 1.5 s; once more would be past it.
    expect(service.requests).toHaveLength(1 + 3);
  });

  test("a stop ends the waiting", async () => {
    const names = devices(1);
    const stopping = new AbortController();
    service.broken = { status: 503 };
    const failing = failures(names, deadlineIn(60_000, stopping.signal));
    while (service.requests.length < 2) await Bun.sleep(5);
    stopping.abort();
    // Between two requests, or in the middle of one.
    expect(["HTTP 503", "Network error"]).toContain((await failing)["device 0"] ?? "nothing");
  });
});

test("tickets that are too few, or of other devices, give no device up", async () => {
  const gone = (expoPushToken?: string) => ({
    status: "error",
    details: { error: "DeviceNotRegistered", expoPushToken },
  });
  const answers: [unknown[], boolean[]][] = [
    [[gone()], [false, false]],
    [[gone("a")], [true, false]],
    [
      [gone("b"), { status: "ok", id: "1" }],
      [false, false],
    ],
    [
      [gone(), gone()],
      [true, true],
    ],
    [
      [gone(), gone(), gone()],
      [false, false],
    ],
  ];
  for (const [data, dead] of answers) {
    service.breaks.push({ raw: JSON.stringify({ data }) });
    const verdicts = await expo.send(["a", "b"], MESSAGE, patient());
    expect(verdicts.map((verdict) => !verdict.ok && verdict.dead)).toEqual(dead);
  }
});

test("only receipts that were asked for and are ready come back", async () => {
  service.receipts.set("b", { status: "error", message: "m", details: { error: "DeviceNotRegistered" } });
  service.receipts.set("c", { status: "ok" });
  expect(await expo.receipts(["a", "b"], patient())).toEqual({
    verdicts: new Map([["b", { ok: false, reason: "DeviceNotRegistered", dead: true }]]),
    refused: [],
    problem: undefined,
  });
  const none = { verdicts: new Map(), refused: [] };
  service.broken = { raw: "[]" };
  expect(await expo.receipts(["a"], patient())).toEqual({ ...none, problem: "an answer that is none" });
  service.broken = { status: 500 };
  expect(await expo.receipts(["a"], deadlineIn(200))).toEqual({ ...none, problem: "HTTP 500" });
});

test("receipts of the others are read beside tickets that Expo takes for none", async () => {
  const tickets = Array.from({ length: 300 }, (_, index) => `ticket ${index}`);
  for (const ticket of tickets) service.receipts.set(ticket, { status: "ok" });
  for (const bad of ["ticket 7", "ticket 250"]) service.refused.add(bad);
  const { verdicts, refused, problem } = await expo.receipts(tickets, patient());
  expect([verdicts.size, refused.toSorted(), problem]).toEqual([298, ["ticket 250", "ticket 7"], undefined]);
  expect(service.requests.length).toBeLessThan(64);
});

test("a service that refuses every ticket says nothing about any, and is not asked for ever", async () => {
  service.broken = { status: 400 };
  const tickets = Array.from({ length: 300 }, (_, index) => `ticket ${index}`);
  const { verdicts, refused, problem } = await expo.receipts(tickets, patient());
  expect([verdicts.size, refused, problem]).toEqual([0, [], "too many bad tickets"]);
  expect(service.requests).toHaveLength(64);
});
