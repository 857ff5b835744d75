// Pages on /terminal, over real sockets: terminals between namespaces, and the agent's own screen.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  type HapiClient,
  type OpenHapiSockets,
  openHapiSockets,
  TOKEN,
} from "../../../test/support/hapi-sockets.ts";
import { until } from "../../../test/support/until.ts";

let opened: OpenHapiSockets;
let cli: HapiClient;
let page: HapiClient;
beforeEach(async () => {
  opened = await openHapiSockets();
  opened.hub.addSession("s");
  opened.hub.addSession("quiet");
  opened.hub.addSession("foreign", "other");
  cli = await opened.cli({ sessionId: "s" });
  page = await opened.page();
});
afterEach(() => opened.close());

const all = async (...clients: HapiClient[]) => {
  for (let round = 0; round < 2; round++) for (const client of clients) await client.settled();
};

test("a page that creates and writes at once loses nothing, also by polling", async () => {
  const polling = await opened
    .connect("/terminal", page.socket.auth as object, { transports: ["polling"] })
    .connected();
  polling.socket.emit("terminal:create", { sessionId: "s", terminalId: "t", cols: 80, rows: 24 });
  polling.socket.emit("terminal:write", { terminalId: "t", data: "ls\n" });
  await until("both", () => cli.heard.length === 2);
  expect(cli.heard).toEqual([
    ["terminal:open", { sessionId: "s", terminalId: "t", cols: 80, rows: 24 }],
    ["terminal:write", { sessionId: "s", terminalId: "t", data: "ls\n" }],
  ]);
});

test("the CLI that came first opens it, and is the only one that is heard", async () => {
  const second = await opened.cli({ sessionId: "s" });
  page.socket.emit("terminal:create", { sessionId: "s", terminalId: "t", cols: 80, rows: 24, extra: 1 });
  await all(page, cli);
  second.socket.emit("terminal:output", { sessionId: "s", terminalId: "t", data: "not mine" });
  await all(second);
  cli.socket.emit("terminal:output", { sessionId: "s", terminalId: "t", data: "mine", extra: 1 });
  await all(cli, page);
  expect(second.heard).toEqual([]);
  expect(page.heard).toEqual([["terminal:output", { sessionId: "s", terminalId: "t", data: "mine" }]]);
});

test.each([
  [{ sessionId: "s", terminalId: "t", cols: 0, rows: 24 }],
  [{ sessionId: "s", terminalId: "t", cols: 1.5, rows: 24 }],
  [{ sessionId: "s", terminalId: "", cols: 80, rows: 24 }],
  [{ sessionId: "s", terminalId: "t", cols: 1e9, rows: 24 }],
])("%j is dropped in silence", async (wish) => {
  page.socket.emit("terminal:create", wish);
  await all(page, cli);
  expect([page.heard, cli.heard]).toEqual([[], []]);
});

test("two namespaces cannot open, write, close or hear terminals of each other", async () => {
  const stranger = await opened.page("other");
  page.socket.emit("terminal:create", { sessionId: "s", terminalId: "t", cols: 80, rows: 24 });
  await all(page, cli);
  cli.heard.length = 0;
  stranger.socket.emit("terminal:create", { sessionId: "s", terminalId: "t", cols: 80, rows: 24 });
  for (const event of ["terminal:write", "terminal:close", "terminal:resize"])
    stranger.socket.emit(event, { terminalId: "t", data: "x", cols: 1, rows: 1 });
  for (const event of ["agent-terminal:subscribe", "agent-terminal:input", "agent-terminal:resize"])
    stranger.socket.emit(event, { sessionId: "s", data: "x", cols: 1, rows: 1 });
  await all(stranger, cli);
  cli.socket.emit("terminal:output", { sessionId: "s", terminalId: "t", data: "secret" });
  cli.socket.emit("agent-terminal:output", { sessionId: "s", terminalId: "agent", data: "secret" });
  await all(cli, stranger);
  expect(cli.heard).toEqual([]);
  expect(stranger.heard).toEqual([
    ["terminal:error", { terminalId: "t", message: "Session is inactive or unavailable." }],
  ]);
});

describe("the agent's own screen", () => {
  const output = { sessionId: "s", terminalId: "agent", data: "hi" };

  test("is shown to those that look, and the CLI is told when somebody begins and nobody looks any more", async () => {
    const other = await opened.page();
    page.socket.emit("agent-terminal:subscribe", { sessionId: "s" });
    await all(page);
    other.socket.emit("agent-terminal:subscribe", { sessionId: "s" });
    await all(other, cli);
    expect(cli.heard).toEqual([
      ["agent-terminal:refresh", { sessionId: "s" }],
      ["agent-terminal:refresh", { sessionId: "s" }],
    ]);
    cli.socket.emit("agent-terminal:output", { ...output, extra: 1 });
    await all(cli, page, other);
    expect([page.heard, other.heard]).toEqual([
      [["agent-terminal:output", output]],
      [["agent-terminal:output", output]],
    ]);
    cli.heard.length = 0;
    page.socket.emit("agent-terminal:unsubscribe", { sessionId: "s" });
    await all(page, cli);
    expect(cli.heard).toEqual([]);
    other.socket.disconnect();
    await until("the CLI to rest", () => cli.heard.length > 0);
    expect(cli.heard).toEqual([["agent-terminal:idle", { sessionId: "s" }]]);
    cli.socket.emit("agent-terminal:output", output);
    await all(cli, page);
    expect(page.heard).toHaveLength(1);
  });

  test("is told of keys and of its size", async () => {
    page.socket.emit("agent-terminal:resize", { sessionId: "s", cols: 80, rows: 24, extra: 1 });
    page.socket.emit("agent-terminal:input", { sessionId: "s", data: "x" });
    await all(page, cli);
    expect(cli.heard).toEqual([
      ["agent-terminal:resize", { sessionId: "s", cols: 80, rows: 24 }],
      ["agent-terminal:input", { sessionId: "s", data: "x" }],
    ]);
  });

  test("only sockets of the session show it", async () => {
    page.socket.emit("agent-terminal:subscribe", { sessionId: "s" });
    await all(page);
    const stranger = await opened.cli({ token: `${TOKEN}:other`, sessionId: "foreign" });
    const quiet = await opened.cli({ sessionId: "quiet" });
    for (const one of [stranger, quiet]) {
      one.socket.emit("agent-terminal:output", output);
      await all(one);
    }
    await all(page);
    expect(page.heard).toEqual([]);
  });

  test("of a session whose CLI comes later is asked for when it comes", async () => {
    page.socket.emit("agent-terminal:subscribe", { sessionId: "quiet" });
    page.socket.emit("agent-terminal:subscribe", { sessionId: "foreign" });
    await all(page);
    const quiet = await opened.cli({ sessionId: "quiet" });
    await all(quiet);
    expect(quiet.heard).toEqual([["agent-terminal:refresh", { sessionId: "quiet" }]]);
    const foreign = await opened.cli({ token: `${TOKEN}:other`, sessionId: "foreign" });
    await all(foreign);
    expect(foreign.heard).toEqual([]);
  });

  test("a page looks at a bounded number of sessions, and what fails ends nothing", async () => {
    for (let index = 0; index < 70; index++) opened.hub.addSession(`s${index}`);
    for (let index = 0; index < 70; index++)
      page.socket.emit("agent-terminal:subscribe", { sessionId: `s${index}` });
    await all(page);
    const clis = [await opened.cli({ sessionId: "s63" }), await opened.cli({ sessionId: "s64" })];
    await all(...clis);
    expect(clis.map(({ heard }) => heard.length)).toEqual([1, 0]);
    opened.hub.failing.add("absence");
    page.socket.emit("agent-terminal:unsubscribe", { sessionId: "s0" });
    page.socket.emit("agent-terminal:subscribe", { sessionId: "s69" });
    await all(page);
    expect(opened.lines.filter((line) => line.includes("a terminal event failed"))).toHaveLength(1);
  });
});
