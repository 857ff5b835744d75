// Presence tells the truth, in the database and on every phone together: what lost its last voice turns inactive one grace later,
// what came back or is heard stays active, and a restart changes nothing by itself (realtime contract 4 and 10, decisions).
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

/** Long enough for a busy machine to reconnect a socket within it. */
const GRACE_MS = 1_000;
/** Timers of a busy machine are late, never early. */
const LATE_MS = 10_000;
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer({ happyPresenceGraceMs: GRACE_MS });
});
afterAll(() => server.stop());

interface Scene {
  readonly account: Account;
  readonly phone: Listener;
  machine(): Promise<string>;
  session(): Promise<string>;
  daemon(id: string): Promise<Listener>;
  agent(id: string): Promise<Listener>;
}

async function scene(on: TestServer = server): Promise<Scene> {
  const account = await newAccount(on.url);
  return {
    account,
    phone: await account.connect(),
    machine: async () => {
      const id = crypto.randomUUID();
      await account.call("POST", "/v1/machines", { id, metadata: "m" });
      return id;
    },
    session: async () => {
      const opened = await account.call("POST", "/v1/sessions", { tag: crypto.randomUUID(), metadata: "m" });
      return opened.body.session.id;
    },
    daemon: (machineId) => account.connect({ clientType: "machine-scoped", machineId }),
    agent: (sessionId) => account.connect({ clientType: "session-scoped", sessionId }),
  };
}

async function machineRow({ account }: Scene, id: string) {
  return (await account.call("GET", `/v1/machines/${id}`)).body.machine;
}

async function sessionRow({ account }: Scene, id: string) {
  const { body } = await account.call("GET", "/v1/sessions");
  return body.sessions.find((session: { id: string }) => session.id === id);
}

/** Active flags in the order in which the phone heard them. */
function flags(phone: Listener, id: string): boolean[] {
  return phone.ephemerals.filter((body) => body.id === id).map(({ active }) => active);
}

const alive = (daemon: Listener, machineId: string) =>
  daemon.socket.emit("machine-alive", { machineId, time: Date.now() });
const thinking = (agent: Listener, sid: string) =>
  agent.socket.emit("session-alive", { sid, time: Date.now(), thinking: true });

const untilInactive = ({ phone }: Scene, id: string) =>
  phone.until(
    ({ event, body }) => event === "ephemeral" && body.id === id && !body.active,
    GRACE_MS + LATE_MS,
  );
const untilActive = ({ phone }: Scene, id: string) =>
  phone.until(({ event, body }) => event === "ephemeral" && body.id === id && body.active);

/** Something else lost its voice just now; when it has turned inactive, every grace that began earlier is over too. */
async function oneGraceLater(here: Scene): Promise<void> {
  const marker = await here.machine();
  (await here.daemon(marker)).close();
  await untilInactive(here, marker);
}

test("a daemon that is lost turns its machine inactive one grace later, database and phones together", async () => {
  const here = await scene();
  const id = await here.machine();
  const daemon = await here.daemon(id);
  expect(await untilActive(here, id)).toMatchObject({ type: "machine-activity", active: true });
  await daemon.ask("machine-update-state", { machineId: id, daemonState: "running", expectedVersion: 0 });
  expect((await machineRow(here, id)).active).toBe(true);

  const lostAt = Date.now();
  daemon.close();
  const inactive = await untilInactive(here, id);
  expect(Date.now() - lostAt).toBeGreaterThanOrEqual(GRACE_MS - 20);
  expect(Math.abs(inactive.activeAt - lostAt)).toBeLessThan(GRACE_MS);
  expect(await machineRow(here, id)).toMatchObject({ active: false, activeAt: inactive.activeAt });
  expect(flags(here.phone, id)).toEqual([true, false]);
  here.phone.close();
});

test("a daemon that comes back within the grace was never gone", async () => {
  const here = await scene();
  const id = await here.machine();
  const daemon = await here.daemon(id);
  alive(daemon, id);
  daemon.close();
  const back = await here.daemon(id);
  await oneGraceLater(here);
  expect(flags(here.phone, id)).toEqual(flags(here.phone, id).map(() => true));
  back.close();
  await untilInactive(here, id);
  here.phone.close();
});

test("of two sockets of one machine the last one counts", async () => {
  const here = await scene();
  const id = await here.machine();
  const [first, second] = [await here.daemon(id), await here.daemon(id)];
  alive(first, id);
  alive(second, id);
  first.close();
  await oneGraceLater(here);
  expect(flags(here.phone, id)).not.toContain(false);
  second.close();
  await untilInactive(here, id);
  expect(flags(here.phone, id).filter((active) => !active)).toHaveLength(1);
  here.phone.close();
});

test("a heartbeat over whatever socket keeps alive what lost its own", async () => {
  const here = await scene();
  const [machine, session] = [await here.machine(), await here.session()];
  const [daemon, agent] = [await here.daemon(machine), await here.agent(session)];
  alive(daemon, machine);
  thinking(agent, session);
  await untilActive(here, machine);
  await untilActive(here, session);
  daemon.close();
  agent.close();
  const other = await here.account.connect({});
  alive(other, machine);
  thinking(other, session);
  await oneGraceLater(here);
  expect(flags(here.phone, machine)).not.toContain(false);
  expect(flags(here.phone, session)).not.toContain(false);
  expect((await sessionRow(here, session)).active).toBe(true);
  other.close();
  await untilInactive(here, machine);
  await untilInactive(here, session);
  expect((await sessionRow(here, session)).active).toBe(false);
  here.phone.close();
});

test("a session whose process is killed turns inactive, also while somebody watches it", async () => {
  const here = await scene();
  const id = await here.session();
  const [agent, watcher] = [await here.agent(id), await here.agent(id)];
  thinking(agent, id);
  await untilActive(here, id);
  agent.close();
  const inactive = await untilInactive(here, id);
  expect(inactive).toEqual({
    type: "activity",
    id,
    active: false,
    activeAt: inactive.activeAt,
    thinking: false,
  });
  expect(await sessionRow(here, id)).toMatchObject({ active: false, activeAt: inactive.activeAt });
  watcher.close();
  here.phone.close();
});

test("an agent that comes to watch a session within its grace does not keep it alive, a heartbeat does", async () => {
  const here = await scene();
  const [left, back] = [await here.session(), await here.session()];
  for (const id of [left, back]) {
    const agent = await here.agent(id);
    thinking(agent, id);
    await untilActive(here, id);
    agent.close();
  }
  const watchers = [await here.agent(left), await here.agent(back)];
  const again = await here.agent(back);
  thinking(again, back);
  await untilInactive(here, left);
  await oneGraceLater(here);
  expect(flags(here.phone, back)).not.toContain(false);
  expect((await sessionRow(here, left)).active).toBe(false);
  expect((await sessionRow(here, back)).active).toBe(true);
  for (const listener of [...watchers, again, here.phone]) listener.close();
});

test("a session that was opened and that no process ever speaks for turns inactive one grace later, also while it is watched", async () => {
  const here = await scene();
  const id = await here.session();
  const watcher = await here.agent(id);
  expect((await sessionRow(here, id)).active).toBe(true);
  await untilInactive(here, id);
  expect((await sessionRow(here, id)).active).toBe(false);
  watcher.close();
  here.phone.close();
});

test("the deliberate end of a session is believed whatever the clock of who ends it says", async () => {
  const here = await scene();
  for (const off of [-366 * 86_400_000, -20 * 60_000, 20 * 60_000, 366 * 86_400_000]) {
    const id = await here.session();
    const agent = await here.agent(id);
    const now = Date.now();
    agent.socket.emit("session-end", { sid: id, time: now + off });
    const { activeAt } = await untilInactive(here, id);
    expect(activeAt).toBeGreaterThanOrEqual(now);
    expect(activeAt).toBeLessThanOrEqual(Date.now());
    expect(await sessionRow(here, id)).toMatchObject({ active: false, activeAt });
    agent.close();
  }
  here.phone.close();
});

test("whoever looks at a session of long ago and leaves does not touch it", async () => {
  const here = await scene();
  const id = await here.session();
  await here.account.call("POST", `/v1/sessions/${id}/archive`);
  const before = await sessionRow(here, id);
  (await here.agent(id)).close();
  await oneGraceLater(here);
  expect(await sessionRow(here, id)).toEqual(before);
  expect(flags(here.phone, id)).toEqual([false]);
  here.phone.close();
});

test("a session that was ended stays as it was ended when its process leaves", async () => {
  const here = await scene();
  const id = await here.session();
  const agent = await here.agent(id);
  thinking(agent, id);
  await untilActive(here, id);
  const time = Date.now() - 5_000;
  agent.socket.emit("session-end", { sid: id, time });
  expect((await untilInactive(here, id)).activeAt).toBe(time);
  const before = await sessionRow(here, id);
  expect(before).toMatchObject({ active: false, activeAt: time });
  agent.close();
  await oneGraceLater(here);
  expect(await sessionRow(here, id)).toEqual(before);
  expect(flags(here.phone, id)).toEqual([true, false]);
  here.phone.close();
});

test("archive and delete always succeed, again and again, and are told every time", async () => {
  const here = await scene();
  const id = await here.session();
  const archive = () => here.account.call("POST", `/v1/sessions/${id}/archive`);
  for (const _ of [1, 2])
    expect([(await archive()).status, (await archive()).body]).toEqual([200, { success: true }]);
  await here.phone.settled();
  expect(flags(here.phone, id)).toEqual([false, false, false, false]);
  expect((await here.account.call("DELETE", `/v1/sessions/${id}`)).status).toBe(200);
  expect((await archive()).status).toBe(404);
  here.phone.close();
});

test("heartbeats after the end are ignored until the session is opened again", async () => {
  const here = await scene();
  const { account } = here;
  const opened = await account.call("POST", "/v1/sessions", { tag: "again", metadata: "m" });
  const id = opened.body.session.id;
  const agent = await here.agent(id);
  for (const end of [
    () => agent.socket.emit("session-end", { sid: id, time: Date.now() }),
    () => account.call("POST", `/v1/sessions/${id}/archive`),
  ]) {
    await end();
    await untilInactive(here, id);
    here.phone.heard.length = 0;
    thinking(agent, id);
    await agent.settled();
    await here.phone.settled();
    expect(flags(here.phone, id)).toEqual([]);
    await account.call("POST", "/v1/sessions", { tag: "again", metadata: "m" });
    thinking(agent, id);
    await untilActive(here, id);
  }
  await account.call("DELETE", `/v1/sessions/${id}`);
  here.phone.heard.length = 0;
  thinking(agent, id);
  await agent.settled();
  await here.phone.settled();
  expect(flags(here.phone, id)).toEqual([]);
  agent.close();
  here.phone.close();
});

test("a deleted machine is heard no more, and its heartbeats do not wake the machine that comes after it", async () => {
  const [here, other] = [await scene(), await scene()];
  const id = await here.machine();
  const daemon = await here.daemon(id);
  alive(daemon, id);
  await untilActive(here, id);
  expect((await here.account.call("DELETE", `/v1/machines/${id}`)).status).toBe(200);
  const next = await other.machine();
  here.phone.heard.length = 0;
  alive(daemon, id);
  await daemon.settled();
  await here.phone.settled();
  expect(flags(here.phone, id)).toEqual([]);
  // A stop stores whatever heartbeats are still to be stored.
  await server.restart();
  expect((await machineRow(other, next)).active).toBe(false);
  for (const listener of [daemon, here.phone, other.phone]) listener.close();
});

test("every heartbeat is told at once; clocks that are off are held to ours, odd ones ignored", async () => {
  const here = await scene();
  const stranger = await newAccount(server.url);
  const [machine, session] = [await here.machine(), await here.session()];
  const agent = await here.account.connect({});
  const intruder = await stranger.connect({});
  const say = (fields: object) => agent.socket.emit("session-alive", { sid: session, ...fields });
  const now = Date.now();
  for (const ignored of [
    { time: `${now}` },
    {},
    { time: null },
    { time: now, sid: "" },
    { time: now, sid: "unknown" },
    { time: now, sid: 5 },
  ])
    say(ignored);
  agent.socket.emit("session-alive", null);
  agent.socket.emit("machine-alive", { machineId: "unknown", time: now });
  intruder.socket.emit("session-alive", { sid: session, time: now });
  intruder.socket.emit("machine-alive", { machineId: machine, time: now });
  await agent.settled();
  await intruder.settled();
  await here.phone.settled();
  expect(here.phone.ephemerals).toEqual([]);

  say({ time: now - 1_000, thinking: true, mode: "remote" });
  say({ time: now - 999, thinking: "yes" });
  say({ time: now - 998 });
  say({ time: now - 997.5 });
  const off = [3_600_000, 366 * 86_400_000, -61_000, -20 * 60_000, -366 * 86_400_000, -now - 1];
  for (const ms of off) say({ time: now + ms });
  agent.socket.emit("machine-alive", { machineId: machine, time: now - 20 * 60_000 });
  await agent.settled();
  await here.phone.settled();
  const past = here.phone.ephemerals.slice(0, 4);
  const told = { type: "activity", id: session, active: true };
  expect(past).toEqual([
    { ...told, activeAt: now - 1_000, thinking: true },
    { ...told, activeAt: now - 999, thinking: true },
    { ...told, activeAt: now - 998, thinking: false },
    { ...told, activeAt: now - 998, thinking: false },
  ]);
  const held = here.phone.ephemerals.slice(4);
  expect(held.map(({ id }) => id)).toEqual([...off.map(() => session), machine]);
  for (const { activeAt } of held) {
    expect(activeAt).toBeGreaterThanOrEqual(now);
    expect(activeAt).toBeLessThanOrEqual(Date.now());
  }
  for (const listener of [agent, intruder, here.phone]) listener.close();
});

test("a restart changes nothing by itself; one grace later whoever was not heard is inactive, and nobody else", async () => {
  // Whatever stands between the restart and the last look must fit into the grace.
  const restarting = await testServer({ happyPresenceGraceMs: 4_000 });
  const here = await scene(restarting);
  const [silent, spoken] = [await here.machine(), await here.machine()];
  const [quiet, busy] = [await here.session(), await here.session()];
  const daemon = await here.account.connect({});
  for (const id of [silent, spoken])
    await daemon.ask("machine-update-state", { machineId: id, daemonState: "s", expectedVersion: 0 });
  const rows = async () => [
    await machineRow(here, silent),
    await machineRow(here, spoken),
    await sessionRow(here, quiet),
    await sessionRow(here, busy),
  ];
  const before = await rows();
  expect(before.map(({ active }) => active)).toEqual([true, true, true, true]);

  await restarting.restart();
  const [phone, agent] = [await here.account.connect(), await here.account.connect({})];
  const after = { ...here, phone };
  // Nobody is announced online who has not been heard.
  await phone.settled();
  expect(phone.ephemerals).toEqual([]);
  expect(await rows()).toEqual(before);
  alive(agent, spoken);
  thinking(agent, busy);
  const gone = await untilInactive(after, silent);
  await untilInactive(after, quiet);
  expect(gone.activeAt).toBe(before[0].activeAt);
  expect((await rows()).map(({ active }) => active)).toEqual([false, true, false, true]);
  expect([...flags(phone, spoken), ...flags(phone, busy)]).not.toContain(false);
  for (const listener of [daemon, agent, here.phone, phone]) listener.close();
  await restarting.stop();
});
