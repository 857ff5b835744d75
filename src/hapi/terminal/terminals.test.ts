// Terminals with peers that only listen: who owns one, who is told what, which one goes when places are taken, and what is kept.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { until } from "../../../test/support/until.ts";
import { MemoryCeiling } from "../../limits/memory-ceiling.ts";
import { MemoryPieces } from "../../limits/memory-pieces.ts";
import { type TerminalPeer, Terminals, type TerminalsParts } from "./terminals.ts";

class Heard implements TerminalPeer {
  connected = true;
  readonly heard: [string, unknown][] = [];
  constructor(readonly id: string) {}
  emit(event: string, payload: unknown) {
    this.heard.push([event.replace("terminal:", ""), payload]);
  }
  /** What came since the last look. */
  take() {
    return this.heard.splice(0);
  }
}

let now: number;
let clis: Map<string, Heard>;
let active: Set<string>;
let pieces: MemoryPieces;
let terminals: Terminals;
let page: Heard;
let cli: Heard;

function start(changes: Partial<TerminalsParts> = {}) {
  now = 0;
  active = new Set(["default s", "default t"]);
  cli = new Heard("cli");
  clis = new Map([["s", cli]]);
  page = new Heard("page");
  pieces = new MemoryPieces("replays", new MemoryCeiling(() => 1e9));
  terminals = new Terminals({
    maxTerminals: 4,
    idleMs: 60_000,
    isSessionActive: (namespace, id) => active.has(`${namespace} ${id}`),
    cliOf: (session) => clis.get(session),
    pieces,
    now: () => now,
    ...changes,
  });
}
beforeEach(() => start());
afterEach(() => terminals.stop());

const of = (terminalId: string, sessionId = "s") => ({ sessionId, terminalId });
const create = (terminalId: string, { by = page, session = "s", namespace = "default" } = {}) =>
  terminals.create(by, namespace, { ...of(terminalId, session), cols: 80, rows: 24 });
const open = (terminalId: string, session = "s") => [
  "open",
  { ...of(terminalId, session), cols: 80, rows: 24 },
];
const error = (terminalId: string, message: string) => ["error", { terminalId, message }];

describe("create", () => {
  test("opens it at the CLI", () => {
    create("a");
    expect(cli.take()).toEqual([open("a")] as never);
    expect(page.take()).toEqual([]);
  });

  test("says in this order why it cannot", () => {
    active.delete("default s");
    create("a");
    expect(page.take()).toEqual([error("a", "Session is inactive or unavailable.")] as never);
    create("a", { namespace: "other" });
    expect(page.take()).toEqual([error("a", "Session is inactive or unavailable.")] as never);
    active.add("default s");
    for (const id of ["a", "b", "c", "d"]) create(id);
    create("e");
    create("e", { session: "t" });
    expect(page.take()).toEqual([
      error("e", "Too many terminals open (max 4)."),
      error("e", "Too many terminals open (max 4)."),
    ] as never);
    const other = new Heard("other");
    create("e", { by: other });
    expect(other.take()).toEqual([error("e", "Too many terminals open for this session (max 4).")] as never);
    create("e", { by: other, session: "t" });
    expect(other.take()).toEqual([error("e", "CLI is not connected for this session.")] as never);
    clis.set("t", new Heard("cli of t"));
    create("a", { by: other, session: "t" });
    expect(other.take()).toEqual([error("a", "Terminal ID is already in use.")] as never);
    expect(terminals.size).toBe(4);
  });

  test("an id is one terminal's in its own namespace only", () => {
    active.add("other u");
    clis.set("u", new Heard("cli of u"));
    create("a");
    const other = new Heard("other");
    create("a", { by: other, session: "u", namespace: "other" });
    expect(other.take()).toEqual([]);
    terminals.write(other, "default", { terminalId: "a", data: "x" });
    terminals.write(other, "other", { terminalId: "a", data: "y" });
    expect(cli.take()).toEqual([open("a")] as never);
    expect(clis.get("u")?.take()).toEqual([
      open("a", "u"),
      ["write", { ...of("a", "u"), data: "y" }],
    ] as never);
  });
});

describe("between page and CLI", () => {
  beforeEach(() => {
    create("a");
    cli.take();
  });

  test("everything passes with both names, from the owner to its CLI and back", () => {
    terminals.write(page, "default", { terminalId: "a", data: "ls\n" });
    terminals.resize(page, "default", { terminalId: "a", cols: 100, rows: 30 });
    expect(cli.take()).toEqual([
      ["write", { ...of("a"), data: "ls\n" }],
      ["resize", { ...of("a"), cols: 100, rows: 30 }],
    ]);
    terminals.ready(cli, of("a"));
    terminals.output(cli, { ...of("a"), data: "x" });
    terminals.failed(cli, { ...of("a"), message: "Terminal stream closed unexpectedly." });
    terminals.exit(cli, { ...of("a"), code: 1, signal: null });
    expect(page.take()).toEqual([
      ["ready", of("a")],
      ["output", { ...of("a"), data: "x" }],
      ["error", { ...of("a"), message: "Terminal stream closed unexpectedly." }],
      ["exit", { ...of("a"), code: 1, signal: null }],
    ]);
    terminals.exit(cli, { ...of("a"), code: 1, signal: null });
    terminals.write(page, "default", { terminalId: "a", data: "x" });
    expect([page.take(), cli.take(), terminals.size]).toEqual([[], [], 0]);
  });

  test("nobody else writes, and no other CLI is heard", () => {
    const stranger = new Heard("stranger");
    terminals.write(stranger, "default", { terminalId: "a", data: "x" });
    terminals.resize(stranger, "default", { terminalId: "a", cols: 1, rows: 1 });
    terminals.close(stranger, "default", { terminalId: "a" });
    terminals.output(stranger, { ...of("a"), data: "x" });
    terminals.exit(stranger, { ...of("a"), code: 0, signal: null });
    terminals.output(cli, { ...of("a", "t"), data: "x" });
    expect([page.take(), cli.take(), stranger.take(), terminals.size]).toEqual([[], [], [], 1]);
  });

  test("who closes it closes it at the CLI, whose exit comes too late", () => {
    terminals.close(page, "default", { terminalId: "a" });
    terminals.exit(cli, { ...of("a"), code: null, signal: "SIGHUP" });
    expect(cli.take()).toEqual([["close", of("a")]]);
    expect(page.take()).toEqual([]);
  });

  test("when the CLI goes, each of its terminals says so", () => {
    create("b");
    terminals.cliLeft(cli);
    expect(page.take()).toEqual([error("a", "CLI disconnected."), error("b", "CLI disconnected.")] as never);
    expect([terminals.size, pieces.held()]).toEqual([0, 0]);
  });

  test("a CLI that is gone and was not missed yet is noticed by who writes", () => {
    cli.connected = false;
    terminals.write(page, "default", { terminalId: "a", data: "x" });
    expect(page.take()).toEqual([error("a", "CLI disconnected.")] as never);
    expect(terminals.size).toBe(0);
  });
});

describe("a page that goes", () => {
  test("leaves its terminals, and another page of the namespace takes one over with what it put out", () => {
    create("a");
    terminals.output(cli, { ...of("a"), data: "1" });
    terminals.pageLeft(page);
    terminals.output(cli, { ...of("a"), data: "2" });
    cli.take();
    page.take();
    const other = new Heard("other");
    create("a", { by: other });
    expect(cli.take()).toEqual([open("a")] as never);
    expect(other.take()).toEqual([["output", { terminalId: "a", data: "12" }]]);
    terminals.output(cli, { ...of("a"), data: "3" });
    expect([page.take(), other.take()]).toEqual([[], [["output", { ...of("a"), data: "3" }]]]);
  });

  test("that loses one to another page is told nothing, and owns it no more", () => {
    create("a");
    const other = new Heard("other");
    create("a", { by: other });
    cli.take();
    terminals.write(page, "default", { terminalId: "a", data: "x" });
    terminals.pageLeft(page);
    terminals.output(cli, { ...of("a"), data: "y" });
    expect([page.take(), cli.take()]).toEqual([[], []]);
    expect(other.take()).toEqual([["output", { ...of("a"), data: "y" }]]);
  });

  test("and who asks for its own again is shown nothing twice", () => {
    create("a");
    terminals.output(cli, { ...of("a"), data: "1" });
    page.take();
    create("a");
    expect(page.take()).toEqual([]);
    expect(cli.take()).toEqual([open("a"), open("a")] as never);
  });

  test("takes over also when all places are taken, its own included", () => {
    for (const id of ["a", "b", "c", "d"]) create(id);
    create("a");
    const other = new Heard("other");
    create("b", { by: other });
    expect([page.take(), other.take()]).toEqual([[], []]);
  });
});

describe("when a session's places are taken", () => {
  test("the one that is detached longest goes, and its CLI closes it", () => {
    for (const id of ["a", "b"]) create(id);
    const other = new Heard("other");
    for (const id of ["c", "d"]) create(id, { by: other });
    now = 1;
    terminals.pageLeft(other);
    now = 2;
    terminals.pageLeft(page);
    cli.take();
    const third = new Heard("third");
    create("e", { by: third });
    create("f", { by: third });
    create("g", { by: third });
    expect(cli.take()).toEqual([
      ["close", of("c")],
      open("e"),
      ["close", of("d")],
      open("f"),
      ["close", of("a")],
      open("g"),
    ] as never);
    expect(third.take()).toEqual([]);
    expect(terminals.size).toBe(4);
  });

  test("nobody loses a detached one to a request that fails", () => {
    for (const id of ["a", "b", "c", "d"]) create(id);
    create("t1", { by: new Heard("x"), session: "t" });
    terminals.pageLeft(page);
    clis.clear();
    const other = new Heard("other");
    create("e", { by: other });
    expect(other.take()).toEqual([error("e", "CLI is not connected for this session.")] as never);
    expect(terminals.size).toBe(4);
  });

  test("one that failed holds no place, neither of its session nor of its page", () => {
    for (const id of ["a", "b", "c", "d"]) create(id);
    terminals.failed(cli, { ...of("b"), message: "no PTY" });
    page.take();
    cli.take();
    create("e");
    expect(page.take()).toEqual([]);
    expect(cli.take()).toEqual([["close", of("b")], open("e")] as never);
    // Not one that goes on after its error.
    terminals.failed(cli, { ...of("c"), message: "passing" });
    terminals.output(cli, { ...of("c"), data: "x" });
    page.take();
    create("f");
    expect(page.take()).toEqual([error("f", "Too many terminals open (max 4).")] as never);
  });
});

describe("bounds", () => {
  test("a terminal where nothing happens is closed at both ends; what happens puts it off", async () => {
    start({ idleMs: 60 });
    create("quiet");
    create("busy");
    const busy = setInterval(() => terminals.output(cli, { ...of("busy"), data: "." }), 5);
    await until("the quiet one to go", () => terminals.size === 1);
    clearInterval(busy);
    expect(page.heard.filter(([event]) => event === "error")).toEqual([
      error("quiet", "Terminal closed due to inactivity."),
    ] as never);
    expect(cli.heard.filter(([event]) => event === "close")).toEqual([["close", of("quiet")]]);
    await until("the other one to go", () => terminals.size === 0);
  });

  test("what is kept is bounded for one terminal and for all, the largest goes, and what ends keeps nothing", () => {
    start({ maxReplayBytes: 100_000, maxReplayBytesInAll: 150_000 });
    create("a");
    create("b");
    for (let round = 0; round < 100; round++) terminals.output(cli, { ...of("a"), data: "a".repeat(10_000) });
    expect(pieces.held()).toBe(100_000);
    terminals.output(cli, { ...of("b"), data: "b".repeat(60_000) });
    expect(pieces.held()).toBe(60_000);
    const other = new Heard("other");
    create("a", { by: other });
    create("b", { by: other });
    expect(other.take()).toEqual([["output", { terminalId: "b", data: "b".repeat(60_000) }]]);
    terminals.exit(cli, { ...of("b"), code: 0, signal: null });
    expect(pieces.held()).toBe(0);
  });

  test("when other parts need the memory, what is kept is given up, and the terminal goes on", () => {
    create("a");
    terminals.output(cli, { ...of("a"), data: "x".repeat(1_000) });
    expect(pieces.giveUp()).toBeGreaterThan(0);
    terminals.output(cli, { ...of("a"), data: "y" });
    const other = new Heard("other");
    create("a", { by: other });
    expect(other.take()).toEqual([["output", { terminalId: "a", data: "y" }]]);
  });
});
