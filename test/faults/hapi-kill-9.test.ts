// The process is killed in the middle of writing, again and again, with HAPI on. Whatever was acknowledged or announced is there exactly
// once afterwards, seqs have no holes, versions go on from what was told, and whoever comes back gets all that they missed, once. Every
// third life of the server commits the blocking way.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventStream } from "../hapi/event-stream.ts";
import type { ScriptedClient } from "../hapi/scripted-client.ts";
import { rounds } from "../support/full.ts";
import {
  agentSays,
  asked,
  errorsOf,
  HAPI_ENV,
  HapiUser,
  inspectHapi,
  messagesIn,
  PLACE,
  RUNNER,
  type StoredMessage,
  textOf,
} from "./hapi-process.ts";
import { type Random, seeded } from "./random.ts";
import { type ServerProcess, startProcess } from "./server-process.ts";

const ROUNDS = rounds(6, 80);
const SESSIONS = 3;
const LOOK_EVERY = 3;

const dataDir = mkdtempSync(join(tmpdir(), "roost-hapi-kill-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

let lives = 0;

const start = (port = 0) => {
  const commit = ++lives % 3 === 0 ? "blocking" : "pipelined";
  const env = { ...HAPI_ENV, ROOST_LOG_LEVEL: "warn", ROOST_RATE_LIMITS: "false", ROOST_COMMIT: commit };
  return startProcess({ dataDir, port, env });
};

/** One session with what its writers and its reader know. */
class Ledger {
  readonly acknowledged = new Set<string>();
  /** As the reader has it: heard, or caught up with. */
  readonly known = new Map<string, StoredMessage>();
  readonly #texts = new Map<string, string>();
  #last = 0;
  #next = 0;

  constructor(readonly sid: string) {}

  compose(): { readonly localId: string; readonly text: string } {
    const localId = `${this.sid}-${++this.#next}`;
    const text = `${localId} `.repeat(1 + (this.#next % 40));
    this.#texts.set(localId, text);
    return { localId, text };
  }

  /** What an event stream told, and then what came after it, as a CLI asks: together everything, each once, in order. */
  async catchUp(user: HapiUser, heard: EventStream | undefined): Promise<void> {
    const told = heard === undefined ? [] : messagesIn(heard, this.sid);
    // A repeat of what is stored is shown again.
    for (const message of told) if (message.seq > this.#last) this.#learn(message);
    const missed = await user.after(this.sid, this.#last);
    for (const message of missed) this.#learn(message);
    // What was told before it was durable would be gone now, or be another message.
    const stored = new Map((await user.after(this.sid, 0)).map((message) => [message.seq, message]));
    for (const { seq, id, localId } of [...this.known.values(), ...told])
      expect(stored.get(seq)).toMatchObject({ id, localId });
    expect(stored.size).toBe(this.known.size);
    expect([...this.acknowledged].filter((localId) => !this.known.has(localId))).toEqual([]);
    const walked = await user.history(this.sid);
    expect(walked.map(({ id }) => id).sort()).toEqual([...stored.values()].map(({ id }) => id).sort());
  }

  #learn(message: StoredMessage): void {
    const { seq, localId } = message;
    expect(seq).toBe(this.#last + 1);
    expect(this.known.has(localId ?? "")).toBe(false);
    expect(textOf(message)).toBe(this.#texts.get(localId ?? "") ?? "");
    this.known.set(localId ?? "", message);
    this.#last = seq;
  }

  get everySent(): string[] {
    return [...this.#texts.keys()];
  }
}

/** One life of the server, as its clients see it. */
interface Life {
  readonly user: HapiUser;
  /** By session. */
  readonly agents: ReadonlyMap<string, ScriptedClient>;
  readonly runner: ScriptedClient;
}

/** Does one thing after the other; what was not acknowledged is the first that it does after the restart, as clients do. */
abstract class Writer {
  async run(life: Life, acknowledged: () => void, gone: () => boolean): Promise<void> {
    while (!gone()) {
      try {
        await this.step(life);
      } catch (error) {
        if (!gone()) throw error;
        return;
      }
      acknowledged();
    }
  }

  abstract step(life: Life): Promise<void>;
}

class Sender extends Writer {
  #pending: { readonly localId: string; readonly text: string } | undefined;

  constructor(
    readonly ledger: Ledger,
    private readonly way: "web" | "cli",
  ) {
    super();
  }

  async step(life: Life): Promise<void> {
    this.#pending ??= this.ledger.compose();
    const { localId, text } = this.#pending;
    const { sid } = this.ledger;
    if (this.way === "web") expect(await life.user.send(sid, text, localId)).toMatchObject({ status: 200 });
    else {
      const agent = socketOf(life.agents.get(sid));
      expect(await asked(agent, "message", { sid, message: agentSays(text), localId })).toEqual([]);
    }
    this.ledger.acknowledged.add(localId);
    this.#pending = undefined;
  }

  async finish(life: Life): Promise<void> {
    if (this.#pending !== undefined) await this.step(life);
  }
}

interface VersionedAnswer {
  readonly result: string;
  readonly version: number;
  readonly [key: string]: unknown;
}

/** One of the four values that a CLI writes by compare-and-swap. */
class StateWriter extends Writer {
  #version = 1;
  #next = 0;
  /** Not acknowledged: stored or not. */
  #pending: number | undefined;

  constructor(
    private readonly event: string,
    private readonly key: "metadata" | "agentState" | "runnerState",
    private readonly of: { readonly sid: string } | { readonly machineId: string },
  ) {
    super();
  }

  async step({ agents, runner }: Life): Promise<void> {
    const socket = socketOf("sid" in this.of ? agents.get(this.of.sid) : runner);
    this.#pending ??= ++this.#next;
    const value = { ...PLACE, ...RUNNER, status: "running", count: this.#pending };
    const wish = { ...this.of, expectedVersion: this.#version, [this.key]: value };
    const [answer] = (await asked(socket, this.event, wish)) as unknown as [VersionedAnswer];
    // One version further at most, and then with what was sent: acknowledged is kept, and nothing is applied twice.
    expect(answer.version).toBe(this.#version + 1);
    expect(answer[this.key]).toMatchObject({ count: this.#pending });
    expect(["success", "version-mismatch"]).toContain(answer.result);
    this.#version = answer.version;
    this.#pending = undefined;
  }

  async check({ user }: Life): Promise<void> {
    const kind = "sid" in this.of ? "session" : "machine";
    const id = "sid" in this.of ? this.of.sid : this.of.machineId;
    const { body } = await user.ask("GET", `/cli/${kind}s/${id}`);
    const version = body[kind][`${this.key}Version`];
    expect([this.#version, this.#version + 1]).toContain(version);
    if (version === 1) return;
    const isPendingThere = version === this.#version + 1;
    const last = this.#next - (this.#pending === undefined || isPendingThere ? 0 : 1);
    expect(body[kind][this.key]).toMatchObject({ count: last });
  }
}

async function live(user: HapiUser, ledgers: readonly Ledger[], machineId: string): Promise<Life> {
  const agents = new Map<string, ScriptedClient>();
  await Promise.all(ledgers.map(async ({ sid }) => agents.set(sid, await user.agent(sid))));
  return { user, agents, runner: await user.cli({ machineId }) };
}

function end({ agents, runner }: Life): void {
  for (const client of [...agents.values(), runner]) {
    // What could not be stored is acknowledged as well, and said.
    expect(errorsOf(client)).toEqual([]);
    client.close();
  }
}

function socketOf(client: ScriptedClient | undefined): ScriptedClient {
  if (client === undefined) throw new Error("no such socket");
  return client;
}

test(`${ROUNDS} times kill -9 while a hub's ten writers write: everything acknowledged is there exactly once`, async () => {
  const random: Random = seeded("hapi-kill-9");
  let server: ServerProcess = await start();
  const user = await HapiUser.of(server, dataDir);
  const ledgers: Ledger[] = [];
  for (let index = 0; index < SESSIONS; index++) ledgers.push(new Ledger(await user.session(`s${index}`)));
  const machineId = await user.machine("m");
  const states = [
    ...ledgers.map(({ sid }) => new StateWriter("update-state", "agentState", { sid })),
    new StateWriter("update-metadata", "metadata", { sid: ledgers[0]?.sid ?? "" }),
    new StateWriter("machine-update-state", "runnerState", { machineId }),
    new StateWriter("machine-update-metadata", "metadata", { machineId }),
  ];
  const senders = ledgers.flatMap((ledger) => [new Sender(ledger, "web"), new Sender(ledger, "cli")]);
  const writers: Writer[] = [...senders, ...states];
  let cursor: string | undefined;

  for (let round = 1; round <= ROUNDS; round++) {
    const { stream, resume } = await user.events("all=true", cursor);
    // A place in the events of another life is none in this one.
    expect(resume).toBe("gap");
    const life = await live(user, ledgers, machineId);
    let left = random.whole(1, 150);
    let killed: Promise<number> | undefined;
    const acknowledged = () => {
      // At the very moment of an acknowledgement, while the other writers are in the middle of theirs.
      if (--left <= 0) killed ??= server.end("SIGKILL");
    };
    await Promise.all(writers.map((writer) => writer.run(life, acknowledged, () => killed !== undefined)));
    expect(await killed).toBe(137);
    await stream.ended;
    end(life);
    cursor = stream.frames.all.findLast(({ says }) => typeof says.id === "string")?.says.id as string;
    expect(server.output.stderr).toBe("");
    if (round % LOOK_EVERY === 0) expectSound();
    // Now and then it is killed again while it has just recovered.
    if (random.chance(0.15)) await (await start(server.port)).end("SIGKILL");
    server = await start(server.port);
    for (const ledger of ledgers) await ledger.catchUp(user, stream);
    for (const state of states) await state.check({ ...life, user });
  }

  const life = await live(user, ledgers, machineId);
  for (const sender of senders) await sender.finish(life);
  for (const ledger of ledgers) {
    await ledger.catchUp(user, undefined);
    expect([...ledger.known.keys()].sort()).toEqual(ledger.everySent.sort());
  }
  end(life);
  expect(await server.end("SIGTERM")).toBe(0);
  expectSound();
  const total = ledgers.reduce((sum, { known }) => sum + known.size, 0);
  console.error(`hapi-kill-9: ${ROUNDS} rounds, ${total} messages`);
}, 480_000);

function expectSound(): void {
  const { sessions, ...rest } = inspectHapi(dataDir);
  expect(rest).toEqual({ integrity: ["ok"], brokenReferences: 0, doubledLocalIds: 0 });
  expect(sessions).toHaveLength(SESSIONS);
  for (const { messages, highest } of sessions) expect(highest ?? 0).toBe(messages);
}
