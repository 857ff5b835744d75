// Every event of a CLI: what the hub is asked, what is acknowledged, and that nothing that a client sends ends anything.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  type HapiClient,
  type OpenHapiSockets,
  openHapiSockets,
} from "../../../../test/support/hapi-sockets.ts";
import { until } from "../../../../test/support/until.ts";

let opened: OpenHapiSockets;
let cli: HapiClient;
beforeEach(async () => {
  opened = await openHapiSockets();
  opened.hub.addSession("s");
  opened.hub.addSession("foreign", "other");
  opened.hub.addMachine("m");
  cli = await opened.cli({ sessionId: "s", machineId: "m" });
});
afterEach(() => opened.close());

/** The last thing that the hub was asked. */
const last = () => opened.hub.asked.at(-1);

describe("what the hub is asked", () => {
  const alive = { sid: "s", time: 5, thinking: false };
  test.each<[string, unknown, string, unknown]>([
    [
      "message",
      { sid: "s", message: { a: 1 }, extra: 1 },
      "message",
      { sid: "s", content: { a: 1 }, localId: undefined, createdAt: undefined },
    ],
    [
      "message",
      { sid: "s", message: '{"a":[1]}', localId: "l", createdAt: 7 },
      "message",
      { sid: "s", content: { a: [1] }, localId: "l", createdAt: 7 },
    ],
    [
      "message",
      { sid: "s", message: "no JSON", localId: null, createdAt: "x" },
      "message",
      { sid: "s", content: "no JSON", localId: undefined, createdAt: undefined },
    ],
    [
      "message",
      { sid: "s", message: null },
      "message",
      { sid: "s", content: null, localId: undefined, createdAt: undefined },
    ],
    [
      "session-alive",
      { ...alive, mode: "remote", model: null, permissionMode: "plan" },
      "sessionAlive",
      { ...alive, model: null, permissionMode: "plan" },
    ],
    [
      "session-alive",
      { ...alive, thinking: 1, permissionMode: 5, model: 7, effort: {}, modelMode: "x".repeat(600) },
      "sessionAlive",
      { ...alive, thinking: true },
    ],
    ["session-alive", { sid: "s", time: 5 }, "sessionAlive", alive],
    [
      "session-end",
      { sid: "s", time: 5, reason: "cleared" },
      "sessionEnd",
      { sid: "s", time: 5, reason: "cleared" },
    ],
    [
      "session-end",
      { sid: "s", time: 5, reason: "new" },
      "sessionEnd",
      { sid: "s", time: 5, reason: undefined },
    ],
    ["session-ready", { sid: "s", time: 5 }, "sessionReady", { sid: "s", time: 5 }],
    [
      "message",
      { sid: "s", message: null, localId: "" },
      "message",
      { sid: "s", content: null, localId: undefined, createdAt: undefined },
    ],
    // One that is no id spoils none of the others.
    [
      "messages-indeterminate",
      { sid: "s", localIds: ["", 5, "a", "\ud800"] },
      "messagesIndeterminate",
      { sid: "s", localIds: ["a"] },
    ],
    [
      "messages-consumed",
      { sid: "s", localIds: ["a"] },
      "messagesConsumed",
      { sid: "s", localIds: ["a"], clearQueuedThinkingGrace: false, steered: false },
    ],
    [
      "messages-consumed",
      { sid: "s", localIds: ["a"], clearQueuedThinkingGrace: true, steered: true },
      "messagesConsumed",
      { sid: "s", localIds: ["a"], clearQueuedThinkingGrace: true, steered: true },
    ],
    [
      "messages-indeterminate",
      { sid: "s", localIds: ["a"] },
      "messagesIndeterminate",
      { sid: "s", localIds: ["a"] },
    ],
    [
      "messages-steer-state",
      { sid: "s", localIds: ["a"], state: "queued" },
      "messagesSteerState",
      { sid: "s", localIds: ["a"], state: "queued" },
    ],
    [
      "native-queue-message",
      { sid: "s", localId: "a", text: null },
      "nativeQueueMessage",
      { sid: "s", localId: "a", text: null },
    ],
    [
      "machine-alive",
      { machineId: "m", time: 5 },
      "machineAlive",
      { machineId: "m", time: 5, health: undefined },
    ],
    [
      "machine-alive",
      { machineId: "m", time: 5, health: { load1m: 1, cpuPercent: "x", more: 1 } },
      "machineAlive",
      { machineId: "m", time: 5, health: { load1m: 1, cpuPercent: "x", more: 1 } },
    ],
    ["machine-agy-models-changed", { machineId: "m" }, "agyModelsChanged", { machineId: "m" }],
    [
      "update-metadata",
      { sid: "s", expectedVersion: 1, metadata: null },
      "updateMetadata",
      { id: "s", expectedVersion: 1, value: null },
    ],
    [
      "update-state",
      { sid: "s", expectedVersion: 1, agentState: { a: 1 } },
      "updateAgentState",
      { id: "s", expectedVersion: 1, value: { a: 1 } },
    ],
    [
      "machine-update-metadata",
      { machineId: "m", expectedVersion: 1, metadata: { a: 1 } },
      "updateMachineMetadata",
      { id: "m", expectedVersion: 1, value: { a: 1 } },
    ],
    [
      "machine-update-state",
      { machineId: "m", expectedVersion: 1, runnerState: null },
      "updateRunnerState",
      { id: "m", expectedVersion: 1, value: null },
    ],
  ])("by %s %j", async (event, payload, deed, told) => {
    // Without an acknowledgement, as most are sent: it must come to the same thing.
    cli.socket.emit(event, payload);
    await cli.settled();
    expect(last()).toEqual([deed, "default", told] as never);
    expect(cli.heard).toEqual([]);
  });

  test("of a message, JSON that is nested too deeply stays the text that it is", async () => {
    const deep = "[".repeat(5_000) + "]".repeat(5_000);
    cli.socket.emit("message", { sid: "s", message: deep });
    await cli.settled();
    expect(last()?.[2]).toMatchObject({ content: deep });
  });
});

describe("acknowledgements", () => {
  test.each<[string, unknown, unknown[]]>([
    ["ping", undefined, []],
    ["usage-report", { anything: 1 }, []],
    ["agent-terminal:reset", { sessionId: "s" }, []],
    ["nobody knows it", { a: 1 }, []],
    ["session-alive", { sid: "s", time: 1 }, []],
    ["session-alive", "no object", []],
    ["message", { sid: "s", message: 1 }, []],
    ["rpc-register", { method: "" }, []],
    ["terminal:output", { sessionId: "s", terminalId: "t", data: 1 }, []],
    ["messages-steer-state", { sid: "s", localIds: ["a"], state: "dispatching" }, [{ ok: true }]],
    ["messages-steer-state", { sid: "s", localIds: "a" }, [{ ok: false }]],
    ["messages-steer-state", { sid: "nope", localIds: ["a"], state: "queued" }, [{ ok: false }]],
    [
      "update-metadata",
      { sid: "s", expectedVersion: 1, metadata: { a: 1 } },
      [{ result: "success", version: 2, metadata: { a: 1 } }],
    ],
    [
      "update-metadata",
      { sid: "nope", expectedVersion: 1, metadata: {} },
      [{ result: "error", reason: "not-found" }],
    ],
    [
      "update-state",
      { sid: "foreign", expectedVersion: 1, agentState: null },
      [{ result: "error", reason: "access-denied" }],
    ],
    [
      "machine-update-state",
      { machineId: "m", expectedVersion: 1, runnerState: null },
      [{ result: "success", version: 2, runnerState: null }],
    ],
    ...["update-metadata", "update-state", "machine-update-metadata", "machine-update-state"].flatMap(
      (event): [string, unknown, unknown[]][] =>
        [
          undefined,
          null,
          5,
          [],
          {},
          { sid: "s", machineId: "m", expectedVersion: "1", metadata: {}, agentState: {}, runnerState: {} },
          { sid: "s", machineId: "m", expectedVersion: 1 },
          { sid: "s", machineId: "m", expectedVersion: 1.5, metadata: {}, agentState: {}, runnerState: {} },
        ].map((payload) => [event, payload, [{ result: "error" }]]),
    ),
  ])("%s %j is acknowledged", async (event, payload, answer) => {
    expect(await cli.ask(event, ...(payload === undefined ? [] : [payload]))).toEqual(answer);
  });

  test("of an event that is nested too deeply to be read comes all the same", async () => {
    let deep: unknown = 1;
    for (let level = 0; level < 400; level++) deep = [deep];
    expect(await cli.ask("update-state", { sid: "s", agentState: deep })).toEqual([{ result: "error" }]);
    expect(await cli.ask("messages-steer-state", deep)).toEqual([{ ok: false }]);
    expect(await cli.ask("nobody knows it", deep)).toEqual([null]);
    cli.socket.emit("message", { sid: "s", message: deep });
    expect(await cli.ask("ping")).toEqual([]);
  });

  test("of ping comes when every message before it is stored", async () => {
    const gate = Promise.withResolvers<void>();
    opened.hub.gate = gate.promise;
    const order: string[] = [];
    opened.hub.stored = (_from, { content }) => order.push(String(content));
    for (const message of ["a", "b", "c"]) cli.socket.emit("message", { sid: "s", message });
    const pinged = cli.ask("ping").then(() => order.push("ping"));
    // It came after ping, and does not wait.
    await cli.ask("nobody knows it");
    expect([opened.hub.of("message").length, order]).toEqual([3, []]);
    gate.resolve();
    await pinged;
    expect(order).toEqual(["a", "b", "c", "ping"]);
  });
});

describe("who may not have it", () => {
  const absent = (scope: string, id: string, words: string, code: string) => ({
    message: `${scope} ${words}`,
    code,
    scope,
    id,
  });
  test.each([
    ["message", { message: 1 }],
    ["session-alive", { time: 1 }],
    ["session-end", { time: 1 }],
    ["session-ready", { time: 1 }],
    ["messages-consumed", { localIds: ["a"] }],
    ["messages-indeterminate", { localIds: ["a"] }],
    ["messages-steer-state", { localIds: ["a"], state: "queued" }],
    ["native-queue-message", { localId: "a", text: "t" }],
  ])("hears of it by `error`: %s", async (event, payload) => {
    cli.socket.emit(event, { sid: "nope", ...payload });
    cli.socket.emit(event, { sid: "foreign", ...payload });
    await until("both", () => cli.all("error").length === 2);
    expect(cli.all("error")).toEqual([
      absent("session", "nope", "not found", "not-found"),
      absent("session", "foreign", "access denied", "access-denied"),
    ]);
  });

  test.each([["machine-alive"], ["machine-agy-models-changed"]])(
    "of a machine as well: %s",
    async (event) => {
      cli.socket.emit(event, { machineId: "nope", time: 1 });
      await cli.settled();
      expect(cli.all("error")).toEqual([absent("machine", "nope", "not found", "not-found")]);
    },
  );
});

describe("what goes wrong", () => {
  const events: [string, string, object, unknown[]][] = [
    ["message", "message", { message: 1 }, []],
    ["session-alive", "sessionAlive", { time: 1 }, []],
    ["session-end", "sessionEnd", { time: 1 }, []],
    ["messages-consumed", "messagesConsumed", { localIds: [] }, []],
    ["messages-steer-state", "messagesSteerState", { localIds: [], state: "queued" }, [{ ok: false }]],
    ["machine-alive", "machineAlive", { time: 1 }, []],
    ["update-metadata", "updateMetadata", { expectedVersion: 1, metadata: {} }, [{ result: "error" }]],
    [
      "machine-update-state",
      "updateRunnerState",
      { expectedVersion: 1, runnerState: {} },
      [{ result: "error" }],
    ],
  ];
  test.each(events)(
    "%s fails: it is answered, logged once, and ends nothing",
    async (event, deed, payload, answer) => {
      const other = await opened.cli({ sessionId: "s" });
      opened.hub.failing.add(deed);
      const whole = { sid: "s", machineId: "m", ...payload };
      expect(await cli.ask(event, whole)).toEqual(answer);
      cli.socket.emit(event, whole);
      await cli.settled();
      expect(opened.lines.filter((line) => line.includes("is out of order"))).toHaveLength(2);
      opened.hub.failing.clear();
      expect(await cli.ask("ping")).toEqual([]);
      expect(await other.ask("ping")).toEqual([]);
      if (answer.length > 0) return;
      expect(cli.all("error")).toHaveLength(2);
      expect(cli.all("error")[0]).toMatchObject({ message: "Internal error", code: "internal" });
      expect(other.heard).toEqual([]);
    },
  );

  test("nothing that a client sends, with or without an acknowledgement id, ends its connection or another's", async () => {
    const other = await opened.cli({ sessionId: "s" });
    const page = await opened.page();
    const payloads = [
      undefined,
      null,
      0,
      "x",
      [],
      {},
      [[]],
      { sid: {} },
      { sid: "s", time: {} },
      { method: 5 },
      { sessionId: [] },
    ];
    const events = [
      "message",
      "session-alive",
      "session-end",
      "session-ready",
      "update-metadata",
      "update-state",
      "machine-alive",
      "machine-update-metadata",
      "machine-update-state",
      "rpc-register",
      "rpc-unregister",
      "messages-consumed",
      "messages-indeterminate",
      "messages-steer-state",
      "native-queue-message",
      "ping",
      "usage-report",
      "machine-agy-models-changed",
      "terminal:ready",
      "terminal:output",
      "terminal:exit",
      "terminal:error",
      "agent-terminal:output",
      "agent-terminal:reset",
      "error",
      "toString",
      "__proto__",
    ];
    for (const event of events)
      for (const payload of payloads) {
        cli.socket.emit(event, ...(payload === undefined ? [] : [payload]));
        await cli.ask(event, ...(payload === undefined ? [] : [payload]));
      }
    for (const event of [
      "terminal:create",
      "terminal:write",
      "terminal:resize",
      "terminal:close",
      "agent-terminal:subscribe",
      "agent-terminal:unsubscribe",
      "agent-terminal:input",
      "agent-terminal:resize",
      "error",
    ])
      for (const payload of payloads) {
        page.socket.emit(event, ...(payload === undefined ? [] : [payload]));
        await page.ask(event, ...(payload === undefined ? [] : [payload]));
      }
    for (const client of [cli, other, page]) expect(await client.ask("ping")).toEqual([]);
    expect(opened.lines).toEqual([]);
  });
});
