// The released happy CLI and the released hapi runner on one computer, against one port of the compiled executable: one backup, one
// /health, one page of figures, and neither sees or stops the other. Run by `bun run test:clients`.
import { afterAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { io } from "socket.io-client";
import { run } from "../support/process.ts";
import { until } from "../support/until.ts";
import { type Conversation, startConversation } from "./conversation.ts";
import { HapiComputer } from "./hapi-cli.ts";
import { installHapi } from "./hapi-release.ts";
import { accessTokenIn } from "./hapi-server.ts";
import { HapiWeb } from "./hapi-web.ts";
import { type HappyComputer, requireNetworkAddress } from "./happy-cli.ts";
import { currentRelease } from "./happy-release.ts";
import { Phone } from "./phone.ts";
import { type Launched, whileRunning } from "./processes.ts";
import { executablePath, freePort, RoostServer } from "./roost-server.ts";
import { boundMs, storyIn } from "./scene.ts";
import { World } from "./world.ts";

const METRICS_TOKEN = "for-the-figures";
/** What both CLIs wait at most before they come back after their server was away, and some more for a busy machine. */
const BACK_MS = 30_000;

const day = storyIn(() => World.open(currentRelease, { ROOST_METRICS_TOKEN: METRICS_TOKEN }));
const { scene } = day;

/** One computer, with both CLIs. */
let happyDesk: HappyComputer;
let hapiDesk: HapiComputer;
let phone: Phone;
let web: HapiWeb;
let daemon: Launched;
let runner: Launched;
let happySession: Launched;
let happyTalk: Conversation;
/** Its id. */
let hapiTalk: string;

afterAll(() => {
  phone?.disconnect();
  web?.leave();
});

const server = () => day.world.server;
const dataDir = () => join(day.world.folder, "data");

/** Two conversations at the same time. */
const bothTalk = async (text: string): Promise<void> => {
  const from = phone.updates.mark;
  await happyTalk.say(text);
  await Promise.all([
    whileRunning(happySession, happyTalk.hear(text, boundMs, from)),
    web.talk(hapiTalk, text),
  ]);
};

/** What one of a family of sockets is told instead of being let in. */
async function refused(namespace: string, options: object): Promise<string> {
  const socket = io(`${server().url}${namespace}`, { ...options, forceNew: true, reconnection: false });
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.on("connect_error", ({ message }) => resolve(message));
  // Happy lets a socket in first, and says then why it may not stay.
  socket.on("error", ({ message }: { message: string }) => resolve(message));
  try {
    return await promise;
  } finally {
    socket.close();
  }
}

scene("both pair with the one address, and both machines come online", async () => {
  const { url } = server();
  happyDesk = day.world.addComputer("desk");
  const token = accessTokenIn(dataDir());
  hapiDesk = new HapiComputer("desk", happyDesk.folder, await installHapi(), { url, token });
  phone = await Phone.signIn(url);
  const { terminalKey, process } = await happyDesk.login();
  await phone.approveTerminal(terminalKey, "v2");
  await until("the login to end", () => process.child.exitCode ?? undefined, boundMs);
  await phone.connect();
  web = await HapiWeb.logIn(url, token);
  await web.listen();

  daemon = happyDesk.run("daemon", "start-sync");
  runner = hapiDesk.run("runner", "start-sync");
  const hapiOnline = web.event("an online machine", boundMs, { type: "machine-updated", from: 0 }, (event) =>
    event.machineId === hapiDesk.machineId ? true : undefined,
  );
  await Promise.all([
    whileRunning(daemon, phone.machineOnline(happyDesk.machineId, boundMs)),
    whileRunning(runner, hapiOnline),
  ]);
  expect(await web.machine(hapiDesk.machineId)).toMatchObject({ active: true, metadata: { host: "desk" } });
});

scene("both talk with their agents at the same time", async () => {
  [[happySession, happyTalk], hapiTalk] = await Promise.all([
    startConversation(phone, happyDesk, boundMs),
    web.spawn(hapiDesk, "dsh"),
  ]);
  await bothTalk("hello");
});

scene("/health speaks to both kinds of client, and one page of figures counts both", async () => {
  const health = await fetch(`${server().url}/health`);
  expect([health.status, await health.json()]).toEqual([
    200,
    {
      status: "ok",
      timestamp: expect.any(String),
      service: "happy-server",
      protocolVersion: 1,
      capabilities: { workGraph: true, titleSuggestion: false },
    },
  ]);
  const page = await fetch(`${server().url}/metrics`, {
    headers: { authorization: `Bearer ${METRICS_TOKEN}` },
  });
  const figures = (await page.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  const sum = (name: string, ...labels: string[]): number =>
    figures
      .filter((line) => line.startsWith(name) && labels.every((label) => line.includes(label)))
      .reduce((total, line) => total + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
  // The phone, the daemon, the session.
  expect(sum("websocket_connections_total")).toBe(3);
  expect(sum("roost_hapi_sockets", 'namespace="cli"')).toBe(2);
  expect(sum("roost_hapi_event_streams")).toBe(1);
  expect(sum("roost_hapi_present", 'kind="sessions"')).toBe(1);
  for (const path of ["/v3/sessions/", "/api/sessions"])
    expect(sum("http_requests_total", path)).toBeGreaterThan(0);
  for (const name of ["happy", "hapi"]) expect(sum("roost_database_bytes", `"${name}"`)).toBeGreaterThan(0);
});

scene("neither sees anything of the other", async () => {
  expect((await phone.sessions()).map(({ id }) => id)).toEqual([happyTalk.session.id]);
  expect((await phone.machines()).map(({ id }) => id)).toEqual([happyDesk.machineId]);
  expect(await web.ask("GET", "/api/sessions")).toMatchObject({ sessions: [{ id: hapiTalk }] });
  expect(await web.ask("GET", "/api/machines")).toMatchObject({ machines: [{ id: hapiDesk.machineId }] });
  expect((await web.call("GET", `/api/sessions/${happyTalk.session.id}`)).status).toBe(404);
  await expect(phone.messagesAfter(hapiTalk, 0)).rejects.toThrow("404");

  const happyHeard = JSON.stringify([phone.updates.all, phone.ephemerals.all]);
  for (const id of [hapiTalk, hapiDesk.machineId]) expect(happyHeard).not.toContain(id);
  const hapiHeard = JSON.stringify(web.events.all);
  for (const id of [happyTalk.session.id, happyDesk.machineId]) expect(hapiHeard).not.toContain(id);
  expect(phone.rejected).toEqual([]);
});

scene("what lets somebody in here lets nobody in there", async () => {
  const { url } = server();
  const accessToken = accessTokenIn(dataDir());
  const status = async (path: string, token: string) =>
    (await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })).status;
  for (const token of [web.jwt, accessToken])
    for (const path of ["/v1/sessions", "/v1/machines", "/v1/account/profile"])
      expect([path, await status(path, token)]).toEqual([path, 401]);
  for (const path of ["/api/sessions", "/api/events?all=true", `/cli/sessions/${hapiTalk}`])
    expect([path, await status(path, phone.token)]).toEqual([path, 401]);
  await expect(HapiWeb.logIn(url, phone.token)).rejects.toThrow("401");
  const cli = { clientType: "session-scoped", sessionId: hapiTalk };
  expect(await refused("/cli", { auth: { token: phone.token, ...cli } })).toBe("Invalid token");
  expect(await refused("/terminal", { auth: { token: phone.token } })).toBe("Invalid token");
  const app = { path: "/v1/updates", transports: ["websocket"] };
  for (const token of [web.jwt, accessToken])
    expect(await refused("", { ...app, auth: { token, clientType: "user-scoped" } })).toMatch(/invalid/i);
});

scene(
  "one backup of the running server holds both, and a server on it shows both what they had",
  async () => {
    const backup = join(day.world.folder, "both.tar.zst");
    const restored = join(day.world.folder, "restored");
    for (const words of [
      ["backup", backup, "--data-dir", dataDir()],
      ["restore", backup, "--data-dir", join(restored, "data")],
    ])
      expect(await run([executablePath(), ...words])).toMatchObject({ code: 0 });
    expect(existsSync(join(restored, "data", "hapi", "jwt-secret.json"))).toBe(true);
    const second = new RoostServer(await freePort(), restored, { ROOST_REGISTRATION: "closed" });
    await second.start();
    try {
      const samePhone = await Phone.signIn(second.url, phone.secret);
      expect(samePhone.accountId).toBe(phone.accountId);
      const there = (await samePhone.messagesAfter(happyTalk.session.id, 0)).map((row) =>
        happyTalk.read(row),
      );
      expect(there).toEqual(await happyTalk.history(0));
      const sameWeb = await HapiWeb.logIn(second.url, accessTokenIn(dataDir()));
      expect(await sameWeb.history(hapiTalk)).toEqual(await web.history(hapiTalk));
    } finally {
      await second.stop();
    }
  },
);

scene("after one restart of the server both are back by themselves", async () => {
  requireNetworkAddress();
  const { code } = await server().stop();
  expect(code).toBe(0);
  await web.deaf();
  await server().start();
  await web.listen();
  await until("the phone to be back", () => phone.connected, BACK_MS);
  await until(
    "HAPI's runner and session to answer",
    async () => {
      const runnerCall = await web.call("GET", `/api/machines/${hapiDesk.machineId}/agent-availability`);
      const sessionCall = await web.call("GET", `/api/sessions/${hapiTalk}/directory?path=`);
      return runnerCall.status === 200 && sessionCall.status === 200;
    },
    BACK_MS,
  );
  const [machine] = await phone.machines();
  const cipher = phone.cipherOf(machine ?? { dataEncryptionKey: null });
  const call = () => phone.rpc(happyDesk.machineId, "bash", { command: "printf back" }, cipher);
  await until(
    "happy's daemon to answer",
    async () => {
      const answer = await call().catch(() => undefined);
      return JSON.stringify(answer)?.includes("back");
    },
    boundMs,
  );
  await bothTalk("after the restart");
});

scene("happy's daemon and session end, and HAPI's go on", async () => {
  const from = web.events.mark;
  happySession.child.kill("SIGTERM");
  daemon.child.kill("SIGTERM");
  await Promise.all([happySession.child.exited, daemon.child.exited]);
  await web.talk(hapiTalk, "still there?");
  expect(runner.child.exitCode).toBe(null);
  const ended = web.events.all.slice(from).filter(({ type }) => type === "session-ended");
  expect(ended).toEqual([]);
});

scene("HAPI's runner ends and its namespace is deleted, and happy's go on", async () => {
  daemon = happyDesk.run("daemon", "start-sync");
  const from = phone.updates.mark;
  [happySession, happyTalk] = await startConversation(phone, happyDesk, boundMs);
  const before = await phone.sessions();
  await web.ask("POST", `/api/sessions/${hapiTalk}/archive`, {});
  runner.child.kill("SIGTERM");
  await runner.child.exited;
  const words = ["hapi", "delete", "default", "--yes", "--data-dir", dataDir()];
  expect(await run([executablePath(), ...words])).toMatchObject({ code: 0 });
  expect(await web.ask("GET", "/api/sessions")).toEqual({ sessions: [] });
  await happyTalk.say("still there?");
  await whileRunning(happySession, happyTalk.hear("still there?", boundMs, from));
  expect(daemon.child.exitCode).toBe(null);
  expect((await phone.sessions()).map(({ id }) => id).sort()).toEqual(before.map(({ id }) => id).sort());
  expect(phone.rejected).toEqual([]);
});
