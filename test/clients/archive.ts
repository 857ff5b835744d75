// Who ends a session, and what brings it back, with the released happy CLI against the compiled executable (HTTP contract, decision
// "Archive"): the process's own end lasts until it is resumed, a person's archive outlives a process that still beats, and a resume by
// hand or by RPC is shown active again. Run by `bun run test:clients`.
import { afterAll, expect } from "bun:test";
import { until } from "../support/until.ts";
import { Conversation, spawnConversation } from "./conversation.ts";
import type { HappyComputer } from "./happy-cli.ts";
import { Phone } from "./phone.ts";
import type { launchInTerminal } from "./processes.ts";
import { boundMs, story } from "./scene.ts";
import { presenceGraceMs } from "./world.ts";

/** A heartbeat was ignored for 60 s after an archive, and then made the session active again. */
const PAST_SUPPRESSION_MS = 70_000;
const CTRL_C = "\u0003";

const tale = story();
const { scene } = tale;
let phone: Phone;
let desk: HappyComputer;
let terminal: ReturnType<typeof launchInTerminal>;
/** Of the terminal. */
let own: Conversation;
/** Of the daemon. */
let asked: Conversation;

afterAll(() => phone?.disconnect());

const isActive = async (talk: Conversation) =>
  (await phone.sessions()).find(({ id }) => id === talk.session.id)?.active;

async function heard(talk: Conversation, words: string): Promise<void> {
  await until(
    `"${words}" among the stored messages`,
    async () => (await talk.history(0)).some(({ from, text }) => from === "agent" && text.includes(words)),
    boundMs,
  );
}

async function shownInactive(talk: Conversation, from: number, withinMs: number): Promise<void> {
  await phone.ephemerals.first(
    "activity with active: false",
    withinMs,
    (event) => (event.type === "activity" && event.id === talk.session.id && !event.active) || undefined,
    from,
  );
  expect(await isActive(talk)).toBe(false);
}

/** In the list too, which heartbeats reach a moment after the phone's socket. */
async function shownActive(talk: Conversation, from: number): Promise<void> {
  await phone.sessionAlive(talk.session.id, boundMs, from);
  await until("an active session in the list", () => isActive(talk), presenceGraceMs / 2);
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

scene("a terminal is paired, and its daemon is online", async () => {
  phone = await Phone.signIn(tale.world.server.url);
  await phone.connect();
  desk = tale.world.addComputer("desk");
  const { terminalKey, process } = await desk.login();
  await phone.approveTerminal(terminalKey, "v2");
  await until("the login to end", () => process.child.exitCode ?? undefined, boundMs);
  desk.run("daemon", "start-sync");
  await phone.machineOnline(desk.machineId, boundMs);
});

scene("Ctrl-C in the terminal ends its session, and it is shown inactive at once", async () => {
  const from = phone.updates.mark;
  const beat = phone.ephemerals.mark;
  terminal = desk.runInTerminal("claude", "--happy-starting-mode", "remote");
  const made = await phone.updates.first(
    "new-session",
    boundMs,
    ({ body }) => (body.t === "new-session" ? body : undefined),
    from,
  );
  own = new Conversation(phone, made);
  await phone.sessionAlive(own.session.id, boundMs, beat);
  await own.say("hello");
  await heard(own, "heard: hello");
  const ended = phone.ephemerals.mark;
  await until(
    "the terminal to give up at Ctrl-C",
    async () => {
      terminal.type(CTRL_C);
      await Bun.sleep(300);
      return terminal.child.exitCode ?? undefined;
    },
    boundMs,
  );
  await shownInactive(own, ended, presenceGraceMs / 2);
});

scene("`happy resume` in a terminal is shown active again, and the session goes on", async () => {
  const beat = phone.ephemerals.mark;
  terminal = desk.runInTerminal("resume", own.session.id);
  await shownActive(own, beat);
  await own.say("again");
  await heard(own, "heard: again");
});

scene("what a person archives stays archived, though the process still beats", async () => {
  const [machine] = await phone.machines();
  asked = await spawnConversation(phone, desk, machine ?? { dataEncryptionKey: null }, boundMs);
  await asked.say("hello");
  await heard(asked, "heard: hello");
  const { hostPid } = asked;
  const from = phone.ephemerals.mark;
  await phone.archive(asked.session.id);
  await shownInactive(asked, from, 5_000);
  const archived = phone.ephemerals.mark;
  await Bun.sleep(PAST_SUPPRESSION_MS);
  expect(isRunning(hostPid)).toBe(true);
  expect(await isActive(asked)).toBe(false);
  const since = phone.ephemerals.all.slice(archived);
  expect(
    since.filter((event) => event.type === "activity" && event.id === asked.session.id && event.active),
  ).toEqual([]);
  // The other session beat all the while.
  expect(
    since.some((event) => event.type === "activity" && event.id === own.session.id && event.active),
  ).toBe(true);
});

scene(
  "a resume by RPC is shown active again, also after a person's archive, and the session goes on",
  async () => {
    const { hostPid } = asked;
    const [machine] = await phone.machines();
    const cipher = phone.cipherOf(machine ?? { dataEncryptionKey: null });
    const sessionId = asked.session.id;
    await phone.rpc(desk.machineId, "stop-session", { sessionId }, cipher);
    await until("the session's process to end", () => !isRunning(hostPid), boundMs);
    expect(await isActive(asked)).toBe(false);
    const from = phone.ephemerals.mark;
    const resumed = await phone.rpc(desk.machineId, "resume-happy-session", { sessionId }, cipher);
    expect(resumed).toEqual({ type: "success", sessionId });
    await shownActive(asked, from);
    await asked.say("once more");
    await heard(asked, "heard: once more");
    expect(await isActive(asked)).toBe(true);
    expect(phone.rejected).toEqual([]);
  },
);
