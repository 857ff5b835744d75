// One session as a phone sees it: sends encrypted texts, reads the session's messages, live or by catching up, and tells who said what.
import { resolve } from "node:path";
import { z } from "zod";
import type { Cipher } from "./encryption.ts";
import type { HappyComputer } from "./happy-cli.ts";
import type { Phone } from "./phone.ts";
import { type Launched, whileRunning } from "./processes.ts";
import type { MachineRow, MessageRow, SessionRow } from "./wire.ts";

export type Line = {
  readonly seq: number;
  readonly from: "person" | "agent" | "event";
  readonly text: string;
};

const plain = z.union([
  z
    .object({ role: z.literal("user"), content: z.object({ type: z.literal("text"), text: z.string() }) })
    .transform(({ content }) => ({ from: "person" as const, text: content.text })),
  z
    .object({
      role: z.literal("session"),
      content: z.object({ ev: z.object({ t: z.literal("text"), text: z.string() }) }),
    })
    .transform(({ content }) => ({ from: "agent" as const, text: content.ev.text })),
  z
    .object({ role: z.literal("session"), content: z.object({ ev: z.looseObject({ t: z.string() }) }) })
    .transform(({ content }) => ({ from: "event" as const, text: content.ev.t })),
  // Claude's own lines, as releases before 1.0 pass them on.
  z
    .object({
      role: z.literal("agent"),
      content: z.object({
        type: z.literal("output"),
        data: z.object({
          type: z.literal("assistant"),
          message: z.object({ content: z.array(z.object({ type: z.literal("text"), text: z.string() })) }),
        }),
      }),
    })
    .transform(({ content }) => ({
      from: "agent" as const,
      text: content.data.message.content.map(({ text }) => text).join(""),
    })),
  z
    .object({
      role: z.literal("agent"),
      content: z.object({ type: z.literal("event"), data: z.looseObject({ type: z.string() }) }),
    })
    .transform(({ content }) => ({ from: "event" as const, text: content.data.type })),
]);

const spawned = z.object({ type: z.literal("success"), sessionId: z.string() });

export class Conversation {
  readonly cipher: Cipher;

  constructor(
    readonly phone: Phone,
    readonly session: Pick<SessionRow, "id" | "dataEncryptionKey" | "metadata">,
  ) {
    this.cipher = phone.cipherOf(session);
  }

  /** Over HTTP, as the app sends. */
  async say(text: string): Promise<void> {
    await this.phone.post(this.session.id, [{ content: this.#encrypt(text), localId: crypto.randomUUID() }]);
  }

  /** Over the socket, as happy-agent sends. */
  sayOverSocket(text: string): void {
    this.phone.sendOverSocket(this.session.id, this.#encrypt(text));
  }

  /** Waits on the socket for the agent's answer and for the end of its turn. */
  async hear(words: string, boundMs: number, from: number): Promise<void> {
    const lines: Line[] = [];
    await this.phone.updates.first(
      `the agent's "${words}" and the end of its turn`,
      boundMs,
      ({ body }) => {
        if (body.t !== "new-message" || body.sid !== this.session.id) return undefined;
        lines.push(this.read(body.message));
        return answeredAndDone(lines, words) || undefined;
      },
      from,
    );
  }

  /** The stored messages after `afterSeq`, read over HTTP. */
  async history(afterSeq: number): Promise<Line[]> {
    return (await this.phone.messagesAfter(this.session.id, afterSeq)).map((row) => this.read(row));
  }

  /** What the CLI said about the session when it made it. */
  get metadata(): unknown {
    return this.cipher.decrypt(this.session.metadata);
  }

  /** The process that speaks for it. */
  get hostPid(): number {
    return z.looseObject({ hostPid: z.int() }).parse(this.metadata).hostPid;
  }

  read(row: MessageRow): Line {
    return { seq: row.seq, ...plain.parse(this.cipher.decrypt(row.content.c)) };
  }

  #encrypt(text: string): string {
    return this.cipher.encrypt({ role: "user", content: { type: "text", text }, meta: { sentFrom: "web" } });
  }
}

/** Starts `happy acp` with the tiny agent and waits until the phone learns of its session, and can read it. */
export async function startConversation(
  phone: Phone,
  computer: HappyComputer,
  boundMs: number,
): Promise<[Launched, Conversation]> {
  const from = phone.updates.mark;
  const started = computer.run("acp", "--", process.execPath, resolve(import.meta.dir, "acp-agent.ts"));
  const announced = phone.updates.first(
    "new-session",
    boundMs,
    ({ body }) => (body.t === "new-session" ? body : undefined),
    from,
  );
  return [started, new Conversation(phone, await whileRunning(started, announced))];
}

/** Has the daemon start Claude in the computer's project, as the app's button does, and waits until the session listens. */
export async function spawnConversation(
  phone: Phone,
  computer: HappyComputer,
  machine: Pick<MachineRow, "dataEncryptionKey">,
  boundMs: number,
): Promise<Conversation> {
  const from = phone.ephemerals.mark;
  const request = { directory: computer.project, approvedNewDirectoryCreation: true, agent: "claude" };
  const answer = await phone.rpc(computer.machineId, "spawn-happy-session", request, phone.cipherOf(machine));
  const { sessionId } = spawned.parse(answer);
  await phone.sessionAlive(sessionId, boundMs, from);
  const row = (await phone.sessions()).find(({ id }) => id === sessionId);
  if (row === undefined) throw new Error(`There is no session ${sessionId}.`);
  const talk = new Conversation(phone, row);
  computer.sessionPids.add(talk.hostPid);
  return talk;
}

/**
 * The agent's answer is there and its turn over; a text sent earlier would be joined to the running turn. An answer contains `words`
 * rather than being them: a text that arrives while the CLI still fetches after (re)connecting is handed to its agent twice, by fetch
 * and by event. That is a race in the CLI, whatever the server does.
 */
export function answeredAndDone(lines: readonly Line[], words: string): boolean {
  const at = lines.findIndex((line) => line.from === "agent" && line.text.includes(words));
  return at >= 0 && lines.slice(at).some((line) => line.from === "event" && line.text === "ready");
}
