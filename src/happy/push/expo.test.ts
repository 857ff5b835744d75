// Whatever Expo answers, every message gets its verdict.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { type ExpoService, expoService } from "../../../test/support/expo.ts";
import { Expo, type ExpoMessage } from "./expo.ts";

let service: ExpoService;
let expo: Expo;
beforeEach(() => {
  service = expoService();
  expo = new Expo(`${service.url}/`);
});
afterEach(() => service.stop());

const message = (to: string): ExpoMessage => ({
  to,
  title: "t",
  body: "b",
  data: {},
  sound: "default",
  channelId: "messages",
});
const patient = () => AbortSignal.timeout(5_000);

test("a known device gets a ticket, an unknown one is dead", async () => {
  service.devices.add("here");
  const verdicts = await expo.send([message("here"), message("gone")], patient());
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
  const verdicts = await expo.send(names.map(message), patient());
  expect(service.requests.map(({ body }) => body.length)).toEqual([100, 100, 1]);
  expect(verdicts).toHaveLength(201);
  expect(verdicts.findIndex(({ ok }) => !ok)).toBe(150);
});

describe("an answer that is not one", () => {
  const reasons = async () =>
    (await expo.send([message("a"), message("b")], AbortSignal.timeout(200))).map((verdict) =>
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
    ["far too much", { raw: `{"data":"${"x".repeat(2_000_000)}"}` }, ["Network error", "Network error"]],
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
    Array.from({ length: 500 }, (_, index) => message(`${index}`)),
    AbortSignal.timeout(300),
  );
  expect(verdicts.every((verdict) => !verdict.ok && verdict.reason === "Network error")).toBe(true);
  expect(performance.now() - startedAt).toBeLessThan(2_000);
});

test("only receipts that were asked for and are ready come back", async () => {
  service.receipts.set("b", { status: "error", message: "m", details: { error: "DeviceNotRegistered" } });
  service.receipts.set("c", { status: "ok" });
  expect(await expo.receipts(["a", "b"], patient())).toEqual(
    new Map([["b", { ok: false, reason: "DeviceNotRegistered", dead: true }]]),
  );
  service.broken = { raw: "[]" };
  await expect(expo.receipts(["a"], patient())).rejects.toThrow();
  service.broken = { status: 500 };
  await expect(expo.receipts(["a"], patient())).rejects.toThrow("500");
});
