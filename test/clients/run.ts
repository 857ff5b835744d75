// The released `happy` CLI against the compiled executable, told as one day of a person with a phone and two computers. The tests build
// on each other in order. Run by `bun run test:clients`; the name keeps it out of `bun test`.
import { afterAll, expect } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../support/until.ts";
import { answeredAndDone, type Conversation, startConversation } from "./conversation.ts";
import { base64 } from "./encryption.ts";
import { type HappyComputer, requireNetworkAddress } from "./happy-cli.ts";
import { currentRelease } from "./happy-release.ts";
import { Phone } from "./phone.ts";
import { type Launched, whileRunning } from "./processes.ts";
import { boundMs, story } from "./scene.ts";
import { answers, tokenClaims } from "./wire.ts";
import { presenceGraceMs } from "./world.ts";

const day = story();
const { scene } = day;

/** Paired with V2: every session and machine has a key of its own. */
let phone: Phone;
let desk: HappyComputer;
let deskDaemon: Launched;
let session: Launched;
let talk: Conversation;
/** Paired with V1: one secret for everything. */
let oldPhone: Phone;
let oldDesk: HappyComputer;

afterAll(() => {
  phone?.disconnect();
  oldPhone?.disconnect();
});

scene(
  "a terminal pairs with the V2 bundle and keeps the account's content key, never its secret",
  async () => {
    phone = await Phone.signIn(day.world.server.url);
    desk = day.world.addComputer("desk");
    const { terminalKey, process } = await desk.login();
    expect(await phone.pairingStatus(terminalKey)).toEqual({ status: "pending", supportsV2: true });
    await phone.approveTerminal(terminalKey, "v2");
    expect(await phone.pairingStatus(terminalKey)).toEqual({ status: "authorized", supportsV2: false });
    await until("the login to end", () => process.child.exitCode ?? undefined, boundMs);
    expect(process.output()).toContain("Authentication successful");

    const kept = desk.credentials;
    if (!("encryption" in kept)) throw new Error("The CLI kept V1 credentials.");
    expect(kept.encryption.publicKey).toBe(base64(phone.contentKeys.publicKey));
    expect(tokenClaims(kept.token).sub).toBe(phone.accountId);
    const asTerminal = { authorization: `Bearer ${kept.token}` };
    const profile = await fetch(`${day.world.server.url}/v1/account/profile`, { headers: asTerminal });
    expect(profile.status).toBe(200);
    expect(answers.profile.parse(await profile.json()).id).toBe(phone.accountId);
  },
);

scene("a terminal pairs with the V1 bundle and keeps the account's secret", async () => {
  oldPhone = await Phone.signIn(day.world.server.url);
  oldDesk = day.world.addComputer("old-desk");
  const { terminalKey, process } = await oldDesk.login();
  await oldPhone.approveTerminal(terminalKey, "v1");
  await until("the login to end", () => process.child.exitCode ?? undefined, boundMs);
  const kept = oldDesk.credentials;
  if (!("secret" in kept)) throw new Error("The CLI kept V2 credentials.");
  expect(kept.secret).toBe(base64(oldPhone.secret));
  expect(tokenClaims(kept.token).sub).toBe(oldPhone.accountId);
});

scene("the daemon registers its machine and comes online", async () => {
  await phone.connect();
  deskDaemon = desk.run("daemon", "start-sync");
  const machine = await phone.machineOnline(desk.machineId, boundMs);
  await phone.updates.first("new-machine", boundMs, ({ body }) =>
    body.t === "new-machine" ? body.machineId === desk.machineId : undefined,
  );
  const cipher = phone.cipherOf(machine);
  expect(cipher.variant).toBe("dataKey");
  expect(cipher.decrypt(machine.metadata)).toMatchObject({ happyCliVersion: currentRelease.version });
  await until(
    "the daemon to report that it runs",
    async () => {
      const [row] = await phone.machines();
      const state = cipher.decrypt(row?.daemonState ?? "");
      expect(state).toMatchObject({ status: "running", pid: deskDaemon.child.pid });
      return true;
    },
    boundMs,
  );
});

scene("an encrypted RPC from the phone reaches the daemon and its answer comes back", async () => {
  writeFileSync(join(desk.project, "hello.txt"), "from the desk");
  const [machine] = await phone.machines();
  const cipher = phone.cipherOf(machine ?? { dataEncryptionKey: null });
  expect(await phone.rpc(desk.machineId, "listDirectory", { path: desk.project }, cipher)).toMatchObject({
    success: true,
    entries: [{ name: "hello.txt", type: "file", size: 13 }],
  });
  const command = { command: "printf '%s' $((6 * 7))", cwd: desk.project };
  expect(await phone.rpc(desk.machineId, "bash", command, cipher)).toMatchObject({
    success: true,
    stdout: "42",
  });
});

scene("a message goes phone, server, CLI, agent and back, live, over HTTP and over the socket", async () => {
  [session, talk] = await startConversation(phone, desk, boundMs);
  expect(talk.metadata).toMatchObject({
    path: desk.project,
    machineId: desk.machineId,
    hostPid: session.child.pid,
    flavor: "acp",
  });
  const from = phone.updates.mark;
  await talk.say("hello");
  await whileRunning(session, talk.hear("heard: hello", boundMs, from));
  talk.sayOverSocket("over the socket");
  await whileRunning(session, talk.hear("over the socket", boundMs, from));

  const busy = await phone.ephemerals.first("a working session", boundMs, (event) =>
    event.type === "activity" && event.id === talk.session.id && event.thinking ? event : undefined,
  );
  expect(busy.active).toBe(true);
  const [row] = await phone.sessions();
  expect(row).toMatchObject({ id: talk.session.id, active: true });
});

scene(
  "what happens while the phone is away is there when it catches up, in order and without a gap",
  async () => {
    const seen = (await talk.history(0)).at(-1)?.seq ?? 0;
    phone.disconnect();
    await talk.say("are you there");
    const missed = await until(
      "the agent's answer in the history",
      async () => {
        const lines = await talk.history(seen);
        return answeredAndDone(lines, "are you there") ? lines : undefined;
      },
      boundMs,
    );
    expect(missed.map((line) => line.seq)).toEqual(missed.map((_, index) => seen + 1 + index));
    expect(missed[0]).toMatchObject({ from: "person", text: "are you there" });
    await phone.connect();
  },
);

scene("the agent asks for permission, the phone grants it, the agent goes on", async () => {
  const from = phone.updates.mark;
  await talk.say("ask rm -rf build");
  const request = await phone.updates.first(
    "the request in the session's state",
    boundMs,
    ({ body }) => {
      if (body.t !== "update-session" || body.id !== talk.session.id || !body.agentState?.value)
        return undefined;
      const { requests } = talk.cipher.decrypt(body.agentState.value) as {
        requests?: Record<string, unknown>;
      };
      return Object.keys(requests ?? {})[0];
    },
    from,
  );
  await phone.rpc(
    talk.session.id,
    "permission",
    { id: request, approved: true, decision: "approved" },
    talk.cipher,
  );
  await whileRunning(session, talk.hear("permission: proceed_once", boundMs, from));
  await until(
    "the request to be settled in the stored state",
    async () => {
      const row = (await phone.sessions()).find(({ id }) => id === talk.session.id);
      expect(talk.cipher.decrypt(row?.agentState ?? "")).toMatchObject({
        requests: {},
        completedRequests: { [request]: { status: "approved" } },
      });
      return true;
    },
    boundMs,
  );
});

scene(
  "daemon and session come back by themselves after a restart of the server, and lose no message",
  async () => {
    requireNetworkAddress();
    const from = phone.updates.mark;
    const { code, tookMs } = await day.world.server.stop();
    expect(code).toBe(0);
    expect(tookMs).toBeLessThan(5_000);
    await day.world.server.start();
    // Right after the restart, before the CLI is back: it has to find this by itself.
    await talk.say("still here?");
    expect((await phone.sessions()).find(({ id }) => id === talk.session.id)?.active).toBe(true);
    const machine = (await phone.machines()).find(({ id }) => id === desk.machineId);
    expect(machine?.active).toBe(true);

    const answered = until(
      "the answer in the history",
      async () => answeredAndDone(await talk.history(0), "still here?"),
      boundMs,
    );
    await whileRunning(session, answered);
    const cipher = phone.cipherOf(machine ?? { dataEncryptionKey: null });
    const answer = phone.rpc(desk.machineId, "bash", { command: "printf back" }, cipher);
    expect(await whileRunning(deskDaemon, answer)).toMatchObject({ stdout: "back" });
    await talk.say("good to have you");
    await whileRunning(session, talk.hear("good to have you", boundMs, from));
  },
);

scene("a session of a V1 pairing talks too, and is inactive at once when the phone ends it", async () => {
  await oldPhone.connect();
  oldDesk.run("daemon", "start-sync");
  const machine = await oldPhone.machineOnline(oldDesk.machineId, boundMs);
  expect(oldPhone.cipherOf(machine).variant).toBe("legacy");
  const [oldSession, oldTalk] = await startConversation(oldPhone, oldDesk, boundMs);
  expect(oldTalk.cipher.variant).toBe("legacy");
  await oldTalk.say("hello");
  await whileRunning(oldSession, oldTalk.hear("heard: hello", boundMs, 0));

  const from = oldPhone.ephemerals.mark;
  await oldPhone.rpc(oldTalk.session.id, "killSession", {}, oldTalk.cipher);
  const ended = await oldPhone.ephemerals.first(
    "the end of the session",
    presenceGraceMs / 2,
    (event) => (event.type === "activity" && !event.active ? event : undefined),
    from,
  );
  expect(ended.id).toBe(oldTalk.session.id);
  expect((await oldPhone.sessions())[0]?.active).toBe(false);
});

scene(
  "a killed session and a killed daemon are shown inactive when the grace is over, and not before",
  async () => {
    const from = phone.ephemerals.mark;
    const killedAt = performance.now();
    session.child.kill("SIGKILL");
    deskDaemon.child.kill("SIGKILL");
    const inactive = (type: "activity" | "machine-activity", id: string) =>
      phone.ephemerals
        .first(
          `${type} with active: false`,
          presenceGraceMs + 10_000,
          (event) => (event.type === type && event.id === id && !event.active) || undefined,
          from,
        )
        .then(() => performance.now() - killedAt);
    const waited = await Promise.all([
      inactive("activity", talk.session.id),
      inactive("machine-activity", desk.machineId),
    ]);
    for (const waitedMs of waited) expect(waitedMs).toBeGreaterThan(presenceGraceMs - 3_000);
    expect((await phone.sessions()).find(({ id }) => id === talk.session.id)?.active).toBe(false);
    expect((await phone.machines()).find(({ id }) => id === desk.machineId)?.active).toBe(false);
  },
);

scene("an attachment goes up encrypted and comes back as it was", async () => {
  const picture = crypto.getRandomValues(new Uint8Array(65_536));
  const ref = await phone.upload(talk.session.id, "picture.png", picture, talk.cipher);
  expect(await phone.download(talk.session.id, ref, talk.cipher)).toEqual(picture);
});

scene(
  "nothing that the server sent would have been dropped by a real phone, and no message is missing",
  async () => {
    expect(phone.rejected).toEqual([]);
    expect(oldPhone.rejected).toEqual([]);
    const stored = await talk.history(0);
    expect(stored.map((line) => line.seq)).toEqual(stored.map((_, index) => index + 1));
    const live = phone.updates.all.flatMap(({ body }) =>
      body.t === "new-message" && body.sid === talk.session.id ? [body.message.seq] : [],
    );
    expect(live).toEqual([...new Set(live)].sort((a, b) => a - b));
  },
);
