// Presence when the server's clock is corrected by a day, in either direction, under a running server and across a restart: spans go on
// as they are, what is told and stored is the new time and never one of the future, and no device is shown as what it is not.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clockTest, DAY_MS, type FakeClock, fakeClock, startWithClock } from "../support/fake-clock.ts";
import { FULL } from "../support/full.ts";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { admitted, newKeys } from "../support/sign-in.ts";

/** The shortest grace that can be set. */
const GRACE_MS = 30_000;
/** With the sweep, which comes once a minute. */
const LATE_MS = 20_000;

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

interface World {
  readonly account: Account;
  readonly phone: Listener;
  row(id: string): Promise<{ active: boolean; activeAt: number }>;
  session(): Promise<string>;
  machine(): Promise<string>;
  /** A process or daemon that beats every second, by a clock that is never moved. */
  speak(id: string, kind: "session" | "machine"): Promise<{ socket: Listener; stop(): void }>;
  /** Whether one heartbeat now is told to the phone. */
  isHeard(socket: Listener, sid: string): Promise<boolean>;
}

async function world(account: Account): Promise<World> {
  const phone = await account.connect();
  const list = async (path: string) => (await account.call("GET", path)).body;
  return {
    account,
    phone,
    row: async (id) => {
      const rows = [...(await list("/v1/sessions")).sessions, ...(await list("/v1/machines"))];
      return rows.find((row: { id: string }) => row.id === id);
    },
    session: async () => {
      const opened = await account.call("POST", "/v1/sessions", { tag: crypto.randomUUID(), metadata: "m" });
      return opened.body.session.id;
    },
    machine: async () => {
      const id = crypto.randomUUID();
      await account.call("POST", "/v1/machines", { id, metadata: "m" });
      return id;
    },
    speak: async (id, kind) => {
      const scope = kind === "session" ? { sessionId: id } : { machineId: id };
      const socket = await account.connect({ clientType: `${kind}-scoped`, ...scope });
      const beat = () =>
        kind === "session"
          ? socket.socket.emit("session-alive", { sid: id, time: Date.now() })
          : socket.socket.emit("machine-alive", { machineId: id, time: Date.now() });
      beat();
      const timer = setInterval(beat, 1_000);
      const stop = () => {
        clearInterval(timer);
        socket.close();
      };
      return { socket, stop };
    },
    isHeard: async (socket, sid) => {
      await phone.settled();
      const before = phone.ephemerals.length;
      socket.socket.emit("session-alive", { sid, time: Date.now() });
      await socket.settled();
      await phone.settled();
      return phone.ephemerals.slice(before).some((body) => body.id === sid && body.active);
    },
  };
}

async function start(dataDir: string, clock: FakeClock) {
  return startWithClock({ dataDir, env: { ROOST_PRESENCE_GRACE_MS: `${GRACE_MS}` } }, clock);
}

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "roost-clock-presence-"));
  folders.push(folder);
  return folder;
}

const flags = (phone: Listener, id: string): boolean[] =>
  phone.ephemerals.filter((body) => body.id === id).map(({ active }) => active);

const untilActive = (phone: Listener, id: string, fits: (at: number) => boolean = () => true) =>
  phone.until(
    ({ event, body }) => event === "ephemeral" && body.id === id && body.active && fits(body.activeAt),
    LATE_MS,
  );
const untilInactive = (phone: Listener, id: string) =>
  phone.until(
    ({ event, body }) => event === "ephemeral" && body.id === id && !body.active,
    GRACE_MS + LATE_MS,
  );

/** Both read the same clock, but not at the same moment. */
const near = (at: number, expected: number) => Math.abs(at - expected) < 30_000;

for (const [name, first, second] of [
  ["forth and back", DAY_MS, -2 * DAY_MS],
  ["back and forth", -DAY_MS, 2 * DAY_MS],
] as const) {
  clockTest.concurrent(
    `a clock that goes a day ${name} under a running server changes nobody's presence`,
    async () => {
      using clock = fakeClock();
      const server = await start(newFolder(), clock);
      const account = await newAccount(server.url);
      const here = await world(account);
      const { phone } = here;
      const [session, lost, ended, archived, machine] = [
        await here.session(),
        await here.session(),
        await here.session(),
        await here.session(),
        await here.machine(),
      ];
      const [agent, daemon] = [await here.speak(session, "session"), await here.speak(machine, "machine")];
      const [leaving, over] = [await here.speak(lost, "session"), await account.connect({})];
      for (const id of [session, machine, lost]) await untilActive(phone, id);
      over.socket.emit("session-end", { sid: ended, time: Date.now() });
      await over.settled();
      await account.call("POST", `/v1/sessions/${archived}/archive`);

      const report = (key: string, total: number) =>
        over.ask("usage-report", { key, tokens: { total }, cost: { total } });
      await report("before", 1);
      leaving.stop();
      const lostAt = performance.now();
      clock.move(first);
      // What is told from now on carries the new time, whatever the devices' own clocks say.
      for (const id of [session, machine]) await untilActive(phone, id, (at) => near(at, clock.now()));
      for (const id of [ended, archived]) expect([id, await here.isHeard(over, id)]).toEqual([id, false]);
      clock.move(second);
      for (const id of [session, machine]) await untilActive(phone, id, (at) => near(at, clock.now()));
      for (const id of [ended, archived]) expect([id, await here.isHeard(over, id)]).toEqual([id, false]);

      // A report counts on the day on which it began, by the clock of that time, and none is lost.
      await report("before", 2);
      await report("after", 4);
      const { usage, totalReports } = (await account.call("POST", "/v1/usage/query", {})).body;
      const totals = usage.map(({ tokens }: { tokens: { total: number } }) => tokens.total);
      expect([totalReports, totals]).toEqual([2, second < 0 ? [4, 2] : [2, 4]]);

      // The grace lasts as long as it lasts.
      const gone = await untilInactive(phone, lost);
      const graceMs = performance.now() - lostAt;
      expect(graceMs).toBeGreaterThan(GRACE_MS - 500);
      expect(graceMs).toBeLessThan(GRACE_MS + LATE_MS);
      expect(gone.activeAt).toBeLessThanOrEqual(clock.now());
      expect(await here.row(lost)).toMatchObject({ active: false, activeAt: gone.activeAt });
      if (FULL) {
        // Twice the sweep, and past the minute after an end: that one is heard again, the archived one is not.
        await Bun.sleep(130_000 - GRACE_MS);
        expect(await here.isHeard(over, ended)).toBe(true);
        expect(await here.isHeard(over, archived)).toBe(false);
      }
      for (const id of [session, machine]) {
        expect(flags(phone, id)).not.toContain(false);
        const row = await here.row(id);
        expect(row.active).toBe(true);
        // Stored within the new time: not older than the half minute between two writes, and not of the future.
        expect(near(row.activeAt, clock.now() - 15_000)).toBe(true);
        expect(row.activeAt).toBeLessThanOrEqual(clock.now());
      }
      agent.stop();
      daemon.stop();
      over.close();
      phone.close();
      expect(await server.end("SIGTERM")).toBe(0);
    },
  );
}

for (const [name, ms] of [
  ["forth", DAY_MS],
  ["back", -DAY_MS],
] as const) {
  clockTest.concurrent(
    `a clock that goes a day ${name} across a restart: who speaks stays, who does not goes`,
    async () => {
      using clock = fakeClock();
      const dataDir = newFolder();
      const first = await start(dataDir, clock);
      const keys = newKeys();
      const account = await admitted(first.url, keys);
      const before = await world(account);
      const [spoken, silent, archived] = [
        await before.session(),
        await before.session(),
        await before.session(),
      ];
      const [alive, dead] = [await before.machine(), await before.machine()];
      const speakers = await Promise.all([
        ...[spoken, silent, archived].map((id) => before.speak(id, "session")),
        ...[alive, dead].map((id) => before.speak(id, "machine")),
      ]);
      for (const id of [spoken, silent, alive, dead]) await untilActive(before.phone, id);
      await account.call("POST", `/v1/sessions/${archived}/archive`);
      for (const speaker of speakers) speaker.stop();
      before.phone.close();
      expect(await first.end("SIGTERM")).toBe(0);

      clock.move(ms);
      const second = await start(dataDir, clock);
      const here = await world(await admitted(second.url, keys));
      for (const id of [spoken, silent, alive, dead]) expect((await here.row(id)).active).toBe(true);
      const again = await Promise.all([
        here.speak(spoken, "session"),
        here.speak(archived, "session"),
        here.speak(alive, "machine"),
      ]);
      for (const id of [silent, dead]) {
        const { activeAt } = await untilInactive(here.phone, id);
        expect(activeAt).toBeLessThanOrEqual(clock.now());
        expect(await here.row(id)).toMatchObject({ active: false, activeAt });
      }
      for (const id of [spoken, alive]) {
        expect(flags(here.phone, id)).not.toContain(false);
        const row = await here.row(id);
        expect([row.active, near(row.activeAt, clock.now() - 15_000)]).toEqual([true, true]);
      }
      expect(flags(here.phone, archived)).toEqual([]);
      // A process that comes after the archive resumes, whatever the time.
      const resumed = await here.account.connect({ clientType: "session-scoped", sessionId: archived });
      await resumed.ask("update-metadata", { sid: archived, metadata: "n", expectedVersion: 0 });
      expect(await here.isHeard(resumed, archived)).toBe(true);
      for (const speaker of again) speaker.stop();
      resumed.close();
      here.phone.close();
      expect(await second.end("SIGTERM")).toBe(0);
    },
  );
}
