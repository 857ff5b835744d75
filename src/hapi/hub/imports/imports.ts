// What importing an agent's own history needs, of whichever agent: a machine that has it, one import at a time for a namespace, and the
// messages stored behind each other.
import type { MachineRow, MessageRow, NewMessage, SessionKey } from "../../store/rows.ts";
import { boundedContent, isUserText } from "../../wire/content.ts";
import { cliMessageView } from "../../wire/message.ts";
import { isObject, type JsonObject, textAt } from "../../wire/shape.ts";
import { todosIn } from "../../wire/todos.ts";
import { listedHistories } from "../../wire/transcript.ts";
import { callCli, errorOf } from "../cli-call.ts";
import type { HubCore } from "../core.ts";
import { type Result, refusal } from "../result.ts";

const WITHIN = { timeoutMs: 120_000 };
/** Stored in one turn of the writer. */
const AT_ONCE = 100;
const READ_AT_ONCE = 500;

export const UNDER_WAY = refusal("conflict", "Another import is under way");

export interface Histories {
  readonly machineId: string;
  readonly entries: readonly unknown[];
}

/** A message of a history; its time and its localId as the agent knows them, where it does. */
export interface PastMessage {
  readonly content: JsonObject;
  readonly localId?: string;
  readonly createdAt?: number;
}

export class Imports {
  readonly #underWay = new Set<string>();

  constructor(readonly core: HubCore) {}

  /** The one that is named, else any that is there; undefined when none is. */
  async machine(namespace: string, id: string | undefined): Promise<MachineRow | undefined> {
    const rows = await this.core.store.listMachines(namespace);
    const present = rows.filter((row) => this.core.machines.get(row.id)?.presence.active === true);
    return id === undefined ? present[0] : present.find((row) => row.id === id);
  }

  /** What its runner answers: that it could not is a refusal of code `runner-refused`, anything that is no answer one of code `cli`. */
  async ask(
    machineId: string,
    method: string,
    params: object,
  ): Promise<Result<{ readonly answer: JsonObject }>> {
    const called = await callCli(this.core, machineId, method, params, WITHIN);
    if (!called.ok) return called;
    const { answer } = called;
    if (isObject(answer) && answer.success === true) return { ok: true, answer };
    if (isObject(answer) && answer.success === false)
      return refusal("runner-refused", errorOf(answer) ?? "The runner could not do it");
    return refusal("cli", errorOf(answer) ?? `The runner's answer is none to ${method}`);
  }

  async list(machineId: string, method: string, params: object): Promise<Result<Histories>> {
    const asked = await this.ask(machineId, method, params);
    if (!asked.ok) return asked;
    const { sessions } = asked.answer;
    if (!Array.isArray(sessions)) return refusal("cli", `The runner's answer is none to ${method}`);
    return { ok: true, machineId, entries: sessions };
  }

  /** For people: without what was said. */
  async shown(machineId: string, method: string, cwd: string | undefined): Promise<Result<Histories>> {
    const listed = await this.list(machineId, method, { cwd: cwd ?? null });
    return listed.ok ? { ...listed, entries: listedHistories(listed.entries) } : listed;
  }

  /** Two at once could make two sessions of one history. */
  async alone<T extends object>(namespace: string, work: () => Promise<Result<T>>): Promise<Result<T>> {
    if (this.#underWay.has(namespace)) return UNDER_WAY;
    this.#underWay.add(namespace);
    try {
      return await work();
    } finally {
      this.#underWay.delete(namespace);
    }
  }

  /** What a session has, oldest first. */
  async *history(key: SessionKey): AsyncGenerator<MessageRow> {
    for (let afterSeq = 0; ; ) {
      const found = await this.core.store.messagesAfter(key, { afterSeq, limit: READ_AT_ONCE });
      if (typeof found === "string") return;
      let count = 0;
      for await (const row of found.rows) {
        yield row;
        afterSeq = row.seq;
        count += 1;
      }
      if (count < READ_AT_ONCE) return;
    }
  }

  /** `isTold`: of a session that somebody may be looking at. */
  async append(session: SessionKey, messages: readonly PastMessage[], isTold: boolean): Promise<void> {
    for (let from = 0; from < messages.length; from += AT_ONCE) {
      await Promise.all(
        messages.slice(from, from + AT_ONCE).map((message) => this.#append(session, message, isTold)),
      );
    }
  }

  async #append(session: SessionKey, past: PastMessage, isTold: boolean): Promise<void> {
    const { core } = this;
    const content = boundedContent(past.content);
    const message: NewMessage = {
      session,
      content,
      localId: past.localId ?? null,
      createdAt: past.createdAt,
      isTaken: true,
      todos: todosIn(content),
      touches: isUserText(content),
    };
    await core.store.appendMessage(message, (result) => {
      if (typeof result === "string" || !isTold || result.kind === "known") return;
      core.tellAround(session, result);
      core.events.broadcast({
        type: "message-received",
        namespace: session.namespace,
        sessionId: session.id,
        message: cliMessageView(result.message),
      });
    });
  }
}

/** Where a history lies, as far as its session says it. */
export const placeOf = ({ id, metadata }: MachineRow) => ({
  machineId: id,
  host: textAt(metadata, "host") ?? "unknown",
  os: textAt(metadata, "platform"),
});
