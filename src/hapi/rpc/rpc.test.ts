// Calls into CLIs over real sockets: who answers, how an answer is read, and in what words a call fails.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  type HapiClient,
  type OpenHapiSockets,
  openHapiSockets,
  TOKEN,
} from "../../../test/support/hapi-sockets.ts";
import { until } from "../../../test/support/until.ts";
import { HapiRpc, RpcFailure, timeoutOf } from "./rpc.ts";

let opened: OpenHapiSockets;
beforeEach(async () => {
  opened = await openHapiSockets();
  opened.hub.addSession("s");
  opened.hub.addSession("foreign", "other");
  opened.hub.addMachine("m:1");
});
afterEach(() => opened.close());

const call = (name: string, params: unknown = {}, timeoutMs?: number, id = "s") =>
  opened.sockets.rpc.call(id, name, params, timeoutMs === undefined ? {} : { timeoutMs });

/** A CLI that answers its methods with `answer`. */
async function answering(
  methods: readonly string[],
  answer: unknown,
  auth: object = { sessionId: "s" },
): Promise<HapiClient> {
  const client = await opened.cli(auth);
  client.socket.on("rpc-request", (_request, reply) => reply(answer));
  for (const method of methods) client.socket.emit("rpc-register", { method });
  await client.settled();
  return client;
}

test("a call reaches the CLI as method and JSON text, without members that are undefined", async () => {
  const client = await answering(["s:git-status"], '{"success":true}');
  expect(await call("git-status", { cwd: "/a", none: undefined })).toEqual({ success: true });
  await call("git-status", undefined);
  expect(client.all("rpc-request")).toEqual([
    { method: "s:git-status", params: '{"cwd":"/a"}' },
    { method: "s:git-status", params: "{}" },
  ]);
});

test.each<[unknown, unknown]>([
  ['{"a":1}', { a: 1 }],
  ["null", null],
  [null, null],
  ["no JSON", "no JSON"],
  [{ error: "as an object" }, { error: "as an object" }],
  [["a"], ["a"]],
  [5, 5],
  [`${"[".repeat(5_000)}${"]".repeat(5_000)}`, `${"[".repeat(5_000)}${"]".repeat(5_000)}`],
])("an answer of %j is read", async (answer, expected) => {
  await answering(["s:x"], answer);
  expect(await call("x")).toEqual(expected as never);
});

test("an acknowledgement without arguments is an answer without a value", async () => {
  const client = await opened.cli({ sessionId: "s" });
  client.socket.on("rpc-request", (_request, reply) => reply());
  client.socket.emit("rpc-register", { method: "s:x" });
  await client.settled();
  expect(await call("x")).toBeUndefined();
});

describe("who answers", () => {
  test("nobody where nobody registered, or took it back", async () => {
    await expect(call("x")).rejects.toThrow(new RpcFailure("RPC handler not registered: s:x"));
    const client = await answering(["s:x"], "1");
    client.socket.emit("rpc-unregister", { method: "s:x" });
    await client.settled();
    await expect(call("x")).rejects.toThrow("RPC handler not registered: s:x");
  });

  test("the newest registrant, and the one before it when that one goes", async () => {
    await answering(["s:x"], '"old"');
    const newer = await answering(["s:x"], '"new"');
    expect(await call("x")).toBe("new");
    newer.socket.disconnect();
    await until("the older one", async () => (await call("x")) === "old");
  });

  test("only sockets whose namespace has the session or machine", async () => {
    const own = await answering(["foreign:x"], '"own"', { token: `${TOKEN}:other` });
    await answering(["foreign:x", "nope:x", ":x", "x", "foreign:"], '"thief"');
    await until("the registration", async () => (await call("x", {}, 1_000, "foreign")) === "own");
    own.socket.disconnect();
    await until("it to be gone", () =>
      call("x", {}, 1_000, "foreign").then(
        () => false,
        (error: Error) => error.message === "RPC handler not registered: foreign:x",
      ),
    );
    await expect(call("x", {}, 1_000, "nope")).rejects.toThrow("RPC handler not registered: nope:x");
  });

  test("also of a machine whose id has a colon", async () => {
    await answering(["m:1:list"], '"listed"', { machineId: "m:1" });
    expect(await call("list", {}, 1_000, "m:1")).toBe("listed");
  });

  test("what is looked up first is registered in its turn", async () => {
    opened.hub.addSession("later");
    const client = await answering(["later:x"], '"answered"');
    client.socket.emit("rpc-unregister", { method: "later:x" });
    client.socket.emit("rpc-register", { method: "later:x" });
    await until("the registration", async () => {
      await client.settled();
      return call("x", {}, 1_000, "later").then(
        (answer) => answer === "answered",
        () => false,
      );
    });
  });

  test("a socket holds a bounded number of methods, and another one is not affected", async () => {
    const client = await answering(["s:kept"], "1");
    for (let index = 0; index < 600; index++) client.socket.emit("rpc-register", { method: `s:m${index}` });
    client.socket.emit("rpc-register", { method: `s:${"long".repeat(1_000)}` });
    await client.settled();
    expect(await call("m498")).toBe(1);
    await expect(call("m499")).rejects.toThrow("RPC handler not registered: s:m499");
    await answering(["s:m499"], "2");
    expect(await call("m499")).toBe(2);
  });
});

describe("what fails", () => {
  test("a call that is not answered in time", async () => {
    const client = await opened.cli({ sessionId: "s" });
    client.socket.emit("rpc-register", { method: "s:x" });
    await client.settled();
    await expect(call("x", {}, 30)).rejects.toThrow(new RpcFailure("operation has timed out"));
  });

  test.each([["leaves the namespace"], ["loses its connection"]])(
    "a call in flight, at once, when its CLI %s; the others go on",
    async (how) => {
      const client = await opened.cli({ sessionId: "s" });
      client.socket.emit("rpc-register", { method: "s:x" });
      await client.settled();
      await answering(["s:y"], '"y"');
      const lost = call("x");
      await until("the request", () => client.all("rpc-request").length === 1);
      if (how.startsWith("leaves")) client.socket.disconnect();
      else client.socket.io.engine.close();
      expect(await lost.catch((error: unknown) => error)).toEqual(
        new RpcFailure("RPC socket disconnected: s:x"),
      );
      expect(await call("y")).toBe("y");
    },
  );

  test("parameters that are larger than a call carries, and more than waits for one session", async () => {
    const rpc = new HapiRpc({ limits: { paramsBytes: 100, ownerBytes: 150 } });
    const asked: string[] = [];
    const silent = new Promise<never>(() => {});
    const request = (method: string) => {
      asked.push(method);
      return silent;
    };
    rpc.register("s", "s:x", { id: "t", request });
    await expect(rpc.call("s", "x", { a: "x".repeat(200) })).rejects.toThrow(
      "RPC parameters are too large: s:x",
    );
    const waiting = rpc.call("s", "x", { a: "x".repeat(80) });
    await expect(rpc.call("s", "x", { a: "x".repeat(80) })).rejects.toThrow(
      "Too many RPC calls are waiting: s:x",
    );
    rpc.disconnect("t");
    await expect(waiting).rejects.toThrow("RPC socket disconnected: s:x");
    expect(asked).toEqual(["s:x"]);
  });
});

test.each([
  ["git-status", 30_000],
  ["spawn-happy-session", 30_000],
  ["implement-codex-plan", 60_000],
  ["listCodexModels", 120_000],
  ["listPiSessions", 120_000],
  ["fork-conversation", 120_000],
  ["rewind-conversation", 120_000],
  ["clear-conversation", 120_000],
])("%s has %d ms", (name, ms) => {
  expect(timeoutOf(name)).toBe(ms);
});

test("an upload of 40 MiB goes out and its answer comes back", async () => {
  const client = await opened.cli({ sessionId: "s" });
  client.socket.on("rpc-request", ({ params }, reply) =>
    reply(JSON.stringify({ success: true, bytes: params.length })),
  );
  client.socket.emit("rpc-register", { method: "s:uploadFile" });
  await client.settled();
  const content = "x".repeat(40 * 1024 * 1024);
  expect(await call("uploadFile", { content })).toEqual({ success: true, bytes: content.length + 14 });
}, 60_000);
