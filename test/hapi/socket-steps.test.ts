// The steps of the shared recordings that concern the sockets alone, replayed against them: handshake, refusals, rooms, calls, terminals.
// What a step says of 0.30.7 is what counts. Steps that need the whole hub are replayed where there is one.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type HapiClient, type OpenHapiSockets, openHapiSockets, TOKEN } from "../support/hapi-sockets.ts";
import { until } from "../support/until.ts";

interface Effect {
  readonly to: readonly string[];
  readonly event: string;
  readonly payload: unknown;
  readonly reply?: unknown;
}

interface Step {
  readonly step: string;
  readonly event: string;
  readonly payload: unknown;
  readonly from?: string;
  // biome-ignore lint/suspicious/noExplicitAny: as the recordings have it
  readonly ack: any;
  readonly effects: readonly Effect[];
  readonly delta_0_30_7?: Partial<Step>;
}

const IDS: Readonly<Record<string, string>> = {
  "<session:S1>": "11111111-1111-4111-8111-111111111111",
  "<machine:M1>": "machine-1",
  "<uuid:1>": "22222222-2222-4222-8222-222222222222",
  "<CLI_API_TOKEN>": TOKEN,
};

const text = readFileSync(join(import.meta.dir, "recordings/hapi-socket-recordings.json"), "utf8");
const named = Object.entries(IDS)
  .reduce((all, [placeholder, id]) => all.replaceAll(placeholder, id), text)
  .replaceAll('"<ms>"', "1700000000000");
const steps = new Map(
  (JSON.parse(named) as Step[]).map((step) => [step.step, { ...step, ...step.delta_0_30_7 }]),
);
const step = (name: string): Step => {
  const found = steps.get(name);
  if (found === undefined) throw new Error(`there is no step ${name}`);
  return found;
};
const S1 = IDS["<session:S1>"] ?? "";
const M1 = IDS["<machine:M1>"] ?? "";

let opened: OpenHapiSockets;
let actors: Record<string, HapiClient>;
beforeEach(async () => {
  opened = await openHapiSockets();
  opened.hub.addSession(S1);
  opened.hub.addMachine(M1);
  const cliA = await opened.cli({ sessionId: S1 });
  const cliB = await opened.cli({ sessionId: S1 });
  const runner = await opened.cli({ machineId: M1 });
  actors = { cliA, cliB, runner, web1: await opened.page(), web2: await opened.page() };
});
afterEach(() => opened.close());

const actor = (name: string): HapiClient => {
  const found = actors[name];
  if (found === undefined) throw new Error(`nobody is ${name}`);
  return found;
};

/** What each actor hears because of `act`, as the recordings list it. */
async function effectsOf(act: () => unknown): Promise<Effect[]> {
  for (const { heard } of Object.values(actors)) heard.length = 0;
  await act();
  for (let round = 0; round < 3; round++)
    for (const client of Object.values(actors)) if (client.socket.connected) await client.settled();
  return Object.entries(actors).flatMap(([name, { heard }]) =>
    heard.map(([event, payload]) => ({ to: [name], event: String(event), payload })),
  );
}

/** Of the actors that are sockets, one entry for each. */
const expected = ({ effects }: Step) =>
  effects.flatMap(({ to, event, payload }) =>
    event === "(disconnect)"
      ? []
      : to.flatMap((name) => (name in actors ? [{ to: [name], event, payload }] : [])),
  );

const emits = (name: string) => {
  const { from = "", event, payload } = step(name);
  return effectsOf(() => actor(from).socket.emit(event, payload));
};

test("01 the handshake", async () => {
  const { ack } = step("01-engineio-open");
  const answer = await fetch(`${opened.url}/socket.io/?EIO=4&transport=polling`);
  const body = await answer.text();
  expect([answer.status, body.charAt(0)]).toEqual([ack.status, ack.firstChar]);
  expect({ ...JSON.parse(body.slice(1)), sid: "<engine-sid>" }).toEqual(ack.open);
});

test("02 a foreign origin", async () => {
  const { ack } = step("02-origin-rejected");
  const headers = { origin: "http://evil.example" };
  const answer = await fetch(`${opened.url}/socket.io/?EIO=4&transport=polling`, { headers });
  expect([answer.status, await answer.json()]).toEqual([ack.status, ack.body]);
});

test.each([["04-cli-bad-token"], ["06-terminal-missing-token"]])("%s", async (name) => {
  const { payload, ack, ...rest } = step(name) as Step & { namespace: string };
  const { auth } = payload as { auth: object };
  expect(await opened.connect(rest.namespace, auth).refused()).toBe(ack.connect_error.message);
});

test("14 ping", async () => {
  expect(await actor("cliA").ask("ping")).toEqual(step("14-ping").ack.ackArgs);
});

test("20 a keep-alive of an unknown session", async () => {
  expect(await emits("20-session-alive-unknown-session")).toEqual(
    expected(step("20-session-alive-unknown-session")),
  );
});

test("43 metadata of an unknown session", async () => {
  const { event, payload, ack } = step("43-update-metadata-not-found");
  expect(await actor("cliA").ask(event, payload)).toEqual([ack]);
});

test("60 a call that nobody answers", async () => {
  const { error } = step("60-rpc-not-registered").ack.body;
  await expect(opened.sockets.rpc.call(S1, "git-status", { cwd: "/home/u/demo" })).rejects.toThrow(error);
});

test.each([
  ["61-rpc-git-status"],
  ["68-rpc-upload"],
  ["70-rpc-permission-approve"],
  ["75-rpc-set-session-config"],
  ["79-rpc-spawn-success"],
  ["82-rpc-path-exists"],
  ["110-archive"],
])("%s: the request as it was, and the reply read", async (name) => {
  const found = step(name);
  const request = found.effects.find(({ event }) => event === "rpc-request");
  if (request === undefined) throw new Error(`${name} has no call`);
  const { method, params } = request.payload as { method: string; params: string };
  const client = actor(request.to[0] ?? "");
  client.socket.emit("rpc-register", { method });
  client.socket.on("rpc-request", (_request, answer) => answer(request.reply));
  await client.settled();
  const at = method.lastIndexOf(":");
  let answer: unknown;
  const effects = await effectsOf(async () => {
    answer = await opened.sockets.rpc.call(method.slice(0, at), method.slice(at + 1), JSON.parse(params));
  });
  expect(answer).toEqual(JSON.parse(String(request.reply)));
  expect(effects).toEqual(expected({ ...found, effects: [request] }));
});

test("91 to 98 a terminal from its beginning to its end", async () => {
  const names = [
    "91-terminal-create",
    "92-terminal-ready",
    "93-terminal-write",
    "94-terminal-output",
    "98-terminal-exit",
  ];
  for (const name of names) expect(await emits(name)).toEqual(expected(step(name)));
});

test("101 a terminal moves to another page; 106 its CLI goes", async () => {
  const create = { sessionId: S1, terminalId: "term-3", cols: 80, rows: 24 };
  await effectsOf(() => actor("web1").socket.emit("terminal:create", create));
  const moved = step("101-terminal-same-id-other-socket");
  expect(await emits(moved.step)).toEqual(expected(moved));
});

test("105 a page that goes keeps its terminals", async () => {
  for (const terminalId of ["lim-1", "lim-2", "lim-3", "lim-4"])
    await effectsOf(() =>
      actor("web1").socket.emit("terminal:create", { sessionId: S1, terminalId, cols: 80, rows: 24 }),
    );
  const gone = step("105-web-terminal-disconnect");
  expect(await effectsOf(() => actor("web1").socket.disconnect())).toEqual(expected(gone));
  expect(opened.sockets.terminals.size).toBe(4);
});

test("106 a CLI that goes ends its terminals", async () => {
  const create = { sessionId: S1, terminalId: "gone-1", cols: 80, rows: 24 };
  await effectsOf(() => actor("web1").socket.emit("terminal:create", create));
  const gone = step("106-cli-disconnect-with-open-terminal");
  const effects = await effectsOf(async () => {
    actor("cliA").socket.disconnect();
    await until("the terminal to go", () => opened.sockets.terminals.size === 0);
  });
  expect(effects).toEqual(expected(gone));
});

test("121 a CLI is asked for a queued message", async () => {
  const { effects } = step("121-cancel-queued-cli-removed");
  const [asked] = effects;
  if (asked === undefined) throw new Error("nothing is asked");
  for (const name of ["cliA", "cliB"])
    actor(name).socket.on("update", (_update, answer) => answer(asked.reply));
  const envelope = asked.payload as Parameters<typeof opened.sockets.rooms.ask>[1];
  let answer: unknown;
  const heard = await effectsOf(async () => {
    answer = await opened.sockets.rooms.ask({ session: S1 }, envelope, 500);
  });
  expect(answer).toEqual(asked.reply as never);
  // The newest of the room is asked.
  expect(heard).toEqual([{ to: ["cliB"], event: "update", payload: envelope }]);
});
