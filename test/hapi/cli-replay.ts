// Replays what the released CLI did, step by step, over sockets that speak the protocol by hand: packets are compared as they stand, calls
// and updates are caused by the web side as they were.
import { until } from "../support/until.ts";
import { at, differences, fill, isObject, type Json } from "./placeholders.ts";
import { RawSocket } from "./raw-socket.ts";
import { type SocketRecording, stepNamed } from "./socket-recordings.ts";
import type { Stage } from "./stage.ts";

const BOUND_MS = 5_000;
const QUIET_MS = 100;
/** Stands for the CLI's own list, which the recordings leave out. */
const AGENT_CONFIGS = [
  {
    flavor: "dsh",
    fields: [
      {
        id: "permission",
        section: "permission",
        kind: "status",
        availability: "managed",
        unavailableReason: "Managed by agent",
      },
    ],
  },
];

type Step = (recording: SocketRecording, sent: { [key: string]: Json }) => Promise<string[]>;

export class CliReplay {
  readonly #sockets: RawSocket[] = [];
  #runner: RawSocket | undefined;
  #session: RawSocket | undefined;
  /** The hub's call that waits for its answer, and the web's request that caused it. */
  #spawn: { id: string; answer: Promise<Json> } | undefined;

  constructor(readonly stage: Stage) {
    stage.names.set("machine:M9", `machine-${crypto.randomUUID()}`);
    stage.names.set("list of per-agent UI field descriptors, about 4 KB", AGENT_CONFIGS);
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  async step(recording: SocketRecording): Promise<string[]> {
    const { names } = this.stage;
    names.beginEntry();
    const sends = recording.direction !== "server->client" && isObject(recording.payload);
    const sent = sends ? (fill(recording.payload, names) as { [key: string]: Json }) : {};
    // What an acknowledgement repeats.
    names.set("echo", sent.runnerState ?? null);
    const play = this.#steps[recording.step];
    if (play === undefined) throw new Error(`the replayer does not know ${recording.step}`);
    const wrong = await play(recording, sent);
    await Bun.sleep(QUIET_MS);
    const more = this.#sockets.flatMap((socket) => socket.unread());
    return [...wrong, ...more.map((packet) => `packet not expected: ${packet.slice(0, 300)}`)];
  }

  readonly #steps: Readonly<Record<string, Step>> = {
    "T01-runner-registers-machine": (recording, sent) => this.#register(recording, sent),
    "T02-runner-connects": async (recording) => {
      const [wrong, socket] = await this.#connect(recording);
      this.#runner = socket;
      return wrong;
    },
    "T03-runner-registers-rpc": (recording) => this.#registerMethods(this.runner, "machine:M9", recording),
    "T04-runner-running": (recording, sent) => this.#acknowledged(this.runner, recording, sent),
    "T05-runner-alive": async ({ event }, sent) => {
      this.runner.emit(event, sent);
      const machine = await this.#listed("the machine", "/api/machines", "machines", "machine:M9");
      return differences(sent.health ?? null, machine.health, this.stage.names, "health");
    },
    "T06-hub-asks-spawn": async (recording) => {
      const path = fill("/api/machines/{{machine:M9}}/spawn", this.stage.names);
      const answer = this.stage.ask("POST", `${path}`, { directory: "/home/u/demo", agent: "dsh" });
      const [wrong, id] = await this.#told(this.runner, recording);
      this.#spawn = { id, answer };
      return wrong;
    },
    "T07-session-process-creates-session": async (recording, sent) => {
      const machine = stepNamed("T01-runner-registers-machine").payload;
      const { id, metadata } = fill(machine, this.stage.names) as { id: Json; metadata: Json };
      await this.stage.ask("POST", "/cli/machines", { id, metadata, runnerState: null });
      return this.#create(recording, sent);
    },
    "T08-session-connects": async (recording) => {
      const [wrong, socket] = await this.#connect(recording, stepNamed("T02-runner-connects"));
      this.#session = socket;
      return wrong;
    },
    "T09-session-registers-rpc": (recording) => this.#registerMethods(this.session, "session:S9", recording),
    "T10-session-first-alive": async ({ event }, sent) => {
      this.session.emit(event, sent);
      await this.#listed("the session", "/api/sessions", "sessions", "session:S9");
      return [];
    },
    "T11-session-state": async (recording, sent) => {
      const wrong = await this.#acknowledged(this.session, recording, sent);
      // Only now does the runner answer the call of T06.
      const [reply = null] = (at(stepNamed("T06-hub-asks-spawn").ack, "ackArgs") ?? []) as Json[];
      const { id, answer } = this.#spawn ?? { id: "", answer: Promise.resolve(null) };
      this.runner.send(`43/cli,${id}${JSON.stringify([fill(reply, this.stage.names)])}`);
      const expected = { type: "success", sessionId: "{{session:S9}}" };
      return [...wrong, ...differences(expected, await answer, this.stage.names, "spawn")];
    },
    "T12-message-reaches-cli": async (recording) => {
      const path = fill("/api/sessions/{{session:S9}}/messages", this.stage.names);
      const answer = this.stage.ask("POST", `${path}`, { text: "hi there", localId: "L1" });
      const [wrong] = await this.#told(this.session, recording);
      await answer;
      this.session.emit("messages-consumed", { sid: this.sid, localIds: ["L1"] });
      return wrong;
    },
    "T13-ready": async ({ event }, sent) => {
      this.session.emit(event, sent);
      const path = `/api/sessions/${this.sid}/messages`;
      const stored = await until("the message", async () =>
        at(await this.stage.ask("GET", path), "messages.1.content"),
      );
      return differences(at(sent, "message") ?? null, stored, this.stage.names, "stored");
    },
    "T14-permission-requested": async (recording, sent) => {
      const before = { controlledByUser: false, startingMode: "remote", requests: {}, completedRequests: {} };
      await this.session.ask("update-state", { sid: this.sid, expectedVersion: 2, agentState: before });
      return this.#acknowledged(this.session, recording, sent);
    },
    "T15-permission-answered": async (recording) => {
      const path = `/api/sessions/${this.sid}/permissions/tool-1/approve`;
      const answer = this.stage.ask("POST", path, {});
      const [wrong, id] = await this.#told(this.session, recording);
      this.session.send(`43/cli,${id}${JSON.stringify(at(recording.ack, "ackArgs"))}`);
      return [...wrong, ...differences({ ok: true }, await answer, this.stage.names, "approve")];
    },
    "T16-session-end": async ({ event }, sent) => {
      this.session.emit(event, sent);
      await until("an inactive session", async () => {
        const { session } = (await this.stage.ask("GET", `/api/sessions/${this.sid}`)) as { session: Json };
        return at(session, "active") === false;
      });
      return [];
    },
    "T17-flush-ping": async ({ event, ack }) => {
      const packet = await this.session.ask(event, undefined, 9);
      return differences(at(ack, "packet") ?? null, packet, this.stage.names, "packet");
    },
    "T18-runner-shutdown": async (recording, sent) => {
      const between = stepNamed("T04-runner-running").payload;
      const state = { ...(fill(between, this.stage.names) as { [key: string]: Json }), expectedVersion: 2 };
      await this.runner.ask("machine-update-state", state);
      const wrong = await this.#acknowledged(this.runner, recording, sent);
      this.runner.send("41/cli,");
      return wrong;
    },
    "T19-terminal-claude-order": (recording) => this.#terminalClaude(recording),
    "T20-terminal-real-exit": (recording) => this.#terminalExits(recording),
  };

  get runner(): RawSocket {
    if (this.#runner === undefined) throw new Error("the runner is not connected");
    return this.#runner;
  }

  get session(): RawSocket {
    if (this.#session === undefined) throw new Error("the session is not connected");
    return this.#session;
  }

  get sid(): string {
    return `${this.stage.names.get("session:S9")}`;
  }

  /** Opens the transport as the recording says, and joins. */
  async #connect(recording: SocketRecording, how = recording): Promise<[string[], RawSocket]> {
    const { names, hub } = this.stage;
    if (!`${at(how.payload, "transport")}`.startsWith("websocket only")) throw new Error("not by WebSocket");
    const { socket, first } = await RawSocket.open(hub.url);
    this.#sockets.push(socket);
    const open = at(stepNamed("01-engineio-open").ack, "open");
    const expected = { ...(isObject(open) && open), upgrades: [] };
    const wrong = differences(expected, JSON.parse(first.slice(1)) as Json, names, "open");
    socket.send(`40/cli,${JSON.stringify(fill(at(recording.payload, "auth") ?? null, names))}`);
    const joined = await socket.next("the answer to the connect", "4");
    return [[...wrong, ...packetDifferences(`${at(recording.ack, "packet")}`, joined, this.stage)], socket];
  }

  async #registerMethods(socket: RawSocket, prefix: string, { event, payload }: SocketRecording) {
    const id = this.stage.names.get(prefix);
    for (const name of (at(payload, "names") ?? []) as string[])
      socket.emit(event, { method: `${id}:${name}` });
    const flushed = await socket.ask("ping");
    return flushed.endsWith("[]") ? [] : [`ping: got ${flushed}`];
  }

  async #acknowledged(socket: RawSocket, { event, ack }: SocketRecording, sent: Json): Promise<string[]> {
    const packet = await socket.ask(event, sent);
    const args = JSON.parse(packet.slice(packet.indexOf("["))) as Json;
    return differences([ack], args, this.stage.names, "ack");
  }

  /** @returns what differs in the event that the hub sends, and the id of the acknowledgement that it asks for. */
  async #told(socket: RawSocket, { event, payload }: SocketRecording): Promise<[string[], string]> {
    const packet = await socket.next(event, "42/cli,");
    const [, id = "", args = "null"] = /^42\/cli,(\d*)(\[.*)$/.exec(packet) ?? [];
    const wrong = differences([event, payload], JSON.parse(args) as Json, this.stage.names, "event");
    return [wrong, id];
  }

  async #register({ event }: SocketRecording, sent: { [key: string]: Json }): Promise<string[]> {
    const machine = at(stepNamed("10-create-machine").ack, "body.machine");
    const expected = { ...(isObject(machine) && machine), ...sent };
    const answer = await this.stage.ask("POST", event.split(" ")[1] ?? "", sent);
    return differences({ machine: expected }, answer, this.stage.names, "body");
  }

  async #create({ event }: SocketRecording, sent: { [key: string]: Json }): Promise<string[]> {
    const { session, ...rest } = at(stepNamed("11-create-session").ack, "body") as { [key: string]: Json };
    const { metadata = null, agentState = null } = sent;
    const expected = { ...(isObject(session) && session), id: "{{session:S9}}", metadata, agentState };
    const answer = await this.stage.ask("POST", event.split(" ")[1] ?? "", sent);
    return differences({ session: expected, ...rest }, answer, this.stage.names, "body");
  }

  /** Waits until the web side sees it active. */
  async #listed(what: string, path: string, key: string, name: string): Promise<{ [key: string]: Json }> {
    return until(`${what} in the list`, async () => {
      const rows = at(await this.stage.ask("GET", path), key) as { [key: string]: Json }[];
      return rows.find(({ id, active }) => id === this.stage.names.get(name) && active === true);
    });
  }

  /** Updates come before the registrations, since they waited while the socket connected: all are acknowledged. */
  async #terminalClaude({ payload }: SocketRecording): Promise<string[]> {
    const { names } = this.stage;
    const metadata = { path: "/home/u/demo", host: "devbox", flavor: "claude", startedBy: "terminal" };
    const body = { tag: crypto.randomUUID(), metadata, agentState: {} };
    const made = await this.stage.ask("POST", "/cli/sessions", body);
    const sid = `${at(made, "session.id")}`;
    const { socket } = await RawSocket.open(this.stage.hub.url);
    this.#sockets.push(socket);
    const auth = { token: this.stage.hub.token, clientType: "session-scoped", sessionId: sid };
    socket.send(`40/cli,${JSON.stringify(auth)}`);
    await socket.next("the answer to the connect", "40/cli,");
    const versions = { "update-metadata": 1, "update-state": 1 };
    const wrong: string[] = [];
    const order = ((at(payload, "socket") ?? []) as string[]).flatMap((entry) => {
      const [event = "", times = "1"] = entry.split(" x");
      return Array<string>(Number(times)).fill(event);
    });
    for (const [index, event] of order.entries()) {
      if (event === "update-metadata" || event === "update-state") {
        const expectedVersion = versions[event]++;
        const value: { [key: string]: Json } =
          event === "update-state"
            ? { agentState: { controlledByUser: true } }
            : { metadata: { ...metadata, startingMode: "local" } };
        const packet = await socket.ask(event, { sid, expectedVersion, ...value });
        const expected = [{ result: "success", version: expectedVersion + 1, ...value }];
        const args = JSON.parse(packet.slice(packet.indexOf("["))) as Json;
        wrong.push(...differences(expected, args, names, `${index} ${event}`));
      } else if (event === "ping") {
        const packet = await socket.ask(event);
        if (!packet.endsWith("[]")) wrong.push(`${index} ping: got ${packet}`);
      } else if (event === "rpc-register") socket.emit(event, { method: `${sid}:method-${index}` });
      else if (event === "session-alive")
        socket.emit(event, { sid, time: Date.now(), thinking: false, mode: "local" });
      else if (event === "session-end") socket.emit(event, { sid, time: Date.now(), reason: "completed" });
      else throw new Error(`the replayer has no ${event}`);
    }
    return wrong;
  }

  /** Errors reach the web; an exit after an error may be lost or told, an exit after a close is told nobody. */
  async #terminalExits({ payload }: SocketRecording): Promise<string[]> {
    const body = {
      tag: crypto.randomUUID(),
      metadata: { path: "/home/u/demo", host: "devbox" },
      agentState: {},
    };
    const made = await this.stage.ask("POST", "/cli/sessions", body);
    const sid = at(made, "session.id") ?? null;
    this.stage.names.set("session:S8", sid);
    await this.stage.cli("cliA", { sessionId: `${sid}` });
    await this.stage.web("web1");
    const [cli, web] = [this.stage.client("cliA"), this.stage.client("web1")];
    cli.emit("session-alive", { sid, time: Date.now(), thinking: false, mode: "remote" });
    await cli.flush();
    for (const terminalId of ["t1", "t2", "t3"]) {
      web.emit("terminal:create", { sessionId: sid, terminalId, cols: 80, rows: 24 });
      await cli.heard.first(`terminal:open of ${terminalId}`, BOUND_MS, ({ event, payload: open }) =>
        event === "terminal:open" && at(open, "terminalId") === terminalId ? true : undefined,
      );
    }
    web.emit("terminal:close", { terminalId: "t2" });
    await cli.heard.first(
      "terminal:close of t2",
      BOUND_MS,
      ({ event }) => event === "terminal:close" || undefined,
    );
    await this.stage.mark();
    const events = fill(payload, this.stage.names) as { event: string; payload: Json }[];
    for (const { event, payload: data } of events) cli.emit(event, data);
    await cli.flush();
    await this.stage.quiet();
    const told = (this.stage.told().get("web1") ?? []).map(({ event, payload: data }) => ({
      event,
      payload: data,
    }));
    const open = events.filter((entry) => at(entry.payload, "terminalId") !== "t2");
    // The released hub forgets a terminal at its error (contract, 17.7); a hub that does not tells its exit too.
    const expected = told.some(({ event }) => event === "terminal:exit")
      ? open
      : open.filter(({ event }) => event === "terminal:error");
    return differences(expected, told, this.stage.names, "web1");
  }
}

/** `40/cli,{...}`: what stands before the JSON is compared as text. */
function packetDifferences(expected: string, actual: string, { names }: Stage): string[] {
  const [head, seen] = [expected, actual].map((packet) => packet.slice(0, packet.indexOf(",") + 1));
  if (head !== seen) return [`packet: expected ${expected}, got ${actual}`];
  const [inside, found] = [expected, actual].map(
    (packet) => JSON.parse(packet.slice(packet.indexOf(",") + 1)) as Json,
  );
  return differences(inside ?? null, found, names, "packet");
}
