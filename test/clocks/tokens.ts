// Who comes in while the server's clock is corrected, by seconds, a day or a year, in either direction, under a running server and
// across a restart: a token that is handed out counts, one that was revoked does not, whichever clock it was issued by; pairing goes
// on, invites hold, and new things still come after old ones.
import { afterAll, describe, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import nacl from "tweetnacl";
import type { ServerProcess } from "../faults/server-process.ts";
import {
  clockTest,
  DAY_MS,
  type FakeClock,
  fakeClock,
  startWithClock,
  YEAR_MS,
} from "../support/fake-clock.ts";
import { type Account, accountWith, call } from "../support/happy-client.ts";
import { roost } from "../support/operator.ts";
import { admitted, type Keys, newKeys, signed, signIn } from "../support/sign-in.ts";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

const MOVES: readonly [string, number][] = [
  ["2 s back", -2_000],
  ["a day back", -DAY_MS],
  ["a day ahead", DAY_MS],
  ["a year back", -YEAR_MS],
  ["a year ahead", YEAR_MS],
];

/** Of these tests, which compute more than they wait, two run at a time. */
const AT_ONCE = 2;
const turns: (() => void)[] = [];
let running = 0;
async function turn(): Promise<void> {
  if (running < AT_ONCE) running++;
  else await new Promise<void>((next) => turns.push(next));
}
function turnIsOver(): void {
  const next = turns.shift();
  if (next === undefined) running--;
  else next();
}

class World {
  readonly dataDir = mkdtempSync(join(tmpdir(), "roost-clock-tokens-"));
  readonly clock: FakeClock = fakeClock();
  #server: ServerProcess | undefined;

  constructor() {
    folders.push(this.dataDir);
  }

  get url(): string {
    return this.#server?.url ?? "";
  }

  async start(): Promise<void> {
    const env = { ROOST_LOG_LEVEL: "error", ROOST_RATE_LIMITS: "false", ROOST_REGISTRATION: "claim" };
    this.#server = await startWithClock({ dataDir: this.dataDir, env }, this.clock);
  }

  async restart(between: () => void = () => {}): Promise<void> {
    expect(await this.#server?.end("SIGTERM")).toBe(0);
    between();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.end("SIGTERM");
    this.clock[Symbol.dispose]();
    turnIsOver();
  }

  async roost(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await roost(this, ...words);
    expect([code, stderr]).toEqual([0, ""]);
    return stdout;
  }

  /** Below the address of an invite. */
  async invite(...words: string[]): Promise<string> {
    return new URL((await this.roost("invite", ...words)).split("\n")[0] ?? "").pathname;
  }
}

async function opened(): Promise<World> {
  await turn();
  const world = new World();
  await world.start();
  return world;
}

/** Over HTTP and on a socket. */
async function works(account: Account, url: string): Promise<boolean> {
  const here = accountWith(url, account.token);
  const { status } = await here.call("GET", "/v1/account/profile");
  const socket = await here.connect().catch(() => undefined);
  socket?.close();
  expect(socket !== undefined).toBe(status === 200);
  return status === 200;
}

const newBoxKey = () => Buffer.from(nacl.box.keyPair().publicKey).toString("base64");
const poll = (url: string, publicKey: string) =>
  call(url, undefined, "POST", "/v1/auth/request", { publicKey, supportsV2: true });
const approve = (account: Account, url: string, publicKey: string) =>
  call(url, account.token, "POST", "/v1/auth/response", { publicKey, response: "c2VhbGVk" });
const newSession = async (account: Account, url: string): Promise<string> =>
  (await call(url, account.token, "POST", "/v1/sessions", { tag: crypto.randomUUID(), metadata: "m" })).body
    .session.id;

/** Everything that must go on, whatever the clock does at `step`. */
async function goesOn(
  step: (world: World) => Promise<void>,
  isRestart: boolean,
  move: number,
): Promise<void> {
  await using world = await opened();
  const keys = newKeys();
  const owner = await admitted(world.url, keys);
  const invitePath = await world.invite("--uses", "5", "--for", "7d");
  const [waiting, approvedBefore, deliveredBefore] = [newBoxKey(), newBoxKey(), newBoxKey()];
  for (const key of [waiting, approvedBefore, deliveredBefore]) await poll(world.url, key);
  for (const key of [approvedBefore, deliveredBefore]) await approve(owner, world.url, key);
  const delivered = (await poll(world.url, deliveredBefore)).body;
  const sessions = [await newSession(owner, world.url), await newSession(owner, world.url)];
  const replayed = signed(newKeys());

  await step(world);

  // Tokens of before, and fresh ones, at once.
  expect(await works(owner, world.url)).toBe(true);
  expect(await works(accountWith(world.url, delivered.token), world.url)).toBe(true);
  const fresh = await admitted(world.url, keys);
  expect(fresh.id).toBe(owner.id);
  expect(await works(fresh, world.url)).toBe(true);

  // A restart with the clock far ahead finds pairings over: the device that polls begins anew. In every other case they go on.
  const pairingsLeft = !isRestart || move < 15 * 60_000;
  const again = await poll(world.url, deliveredBefore);
  expect(again.body).toMatchObject(pairingsLeft ? delivered : { state: "requested" });
  const late = await poll(world.url, approvedBefore);
  expect(late.body.state).toBe(pairingsLeft ? "authorized" : "requested");
  expect((await poll(world.url, waiting)).body.state).toBe("requested");
  for (const key of [waiting, newBoxKey()]) {
    await poll(world.url, key);
    expect((await approve(fresh, world.url, key)).status).toBe(200);
    const { body } = await poll(world.url, key);
    expect(body.state).toBe("authorized");
    expect(await works(accountWith(world.url, body.token), world.url)).toBe(true);
  }

  // An invite of a week holds, but over a restart with the clock ahead by more than that. A new one always does.
  const inviteLeft = !isRestart || move < 7 * DAY_MS;
  expect((await signIn(`${world.url}${invitePath}`, newKeys())).status).toBe(inviteLeft ? 200 : 403);
  const second = await world.invite("--for", "1h");
  await admitted(`${world.url}${second}`);

  // A sign-in that is sent again because its answer was lost.
  const third = await world.invite("--for", "1h");
  for (let n = 0; n < 2; n++)
    expect((await call(`${world.url}${third}`, undefined, "POST", "/v1/auth", replayed)).status).toBe(200);

  sessions.push(await newSession(fresh, world.url), await newSession(fresh, world.url));
  expect(sessions).toEqual([...sessions].sort());
  const listed = (await call(world.url, fresh.token, "GET", "/v2/sessions")).body.sessions;
  expect(listed.map(({ id }: { id: string }) => id)).toEqual([...sessions].reverse());
}

describe("under a running server", () => {
  for (const [name, move] of MOVES)
    clockTest.concurrent(`${name}: tokens, pairing and invites go on`, () =>
      goesOn(
        async ({ clock }) => {
          clock.move(move);
        },
        false,
        move,
      ),
    );
});

describe("across a restart", () => {
  for (const [name, move] of MOVES)
    clockTest.concurrent(`${name}: tokens, pairing and invites go on`, () =>
      goesOn((world) => world.restart(() => world.clock.move(move)), true, move),
    );
});

describe("revoking all tokens of an account", () => {
  async function revoked(
    world: World,
    keys: Keys,
    issuedBefore: readonly Account[],
    owner: Account,
  ): Promise<Account> {
    await world.roost("accounts", "revoke", owner.id, "--all");
    // At once: in the very second of the revocation.
    const fresh = await admitted(world.url, keys);
    expect(await works(fresh, world.url)).toBe(true);
    for (const account of issuedBefore) expect(await works(account, world.url)).toBe(false);
    return fresh;
  }

  for (const [name, move] of MOVES)
    clockTest.concurrent(
      `${name} since they were issued: they are refused, fresh ones count, also after a restart`,
      async () => {
        await using world = await opened();
        const keys = newKeys();
        const before = await admitted(world.url, keys);
        world.clock.move(move);
        const later = await admitted(world.url, keys);
        const first = await revoked(world, keys, [before, later], before);
        // Again, with tokens of the first time, and the clock back where it was.
        world.clock.move(-move);
        const second = await revoked(world, keys, [before, later, first], before);
        await world.restart(() => world.clock.move(move));
        for (const account of [before, later, first]) expect(await works(account, world.url)).toBe(false);
        expect(await works(second, world.url)).toBe(true);
        expect(await works(await admitted(world.url, keys), world.url)).toBe(true);
      },
    );

  clockTest.concurrent(
    "a day back since: a terminal that is paired then has a token that counts",
    async () => {
      await using world = await opened();
      const keys = newKeys();
      const before = await admitted(world.url, keys);
      await world.roost("accounts", "revoke", before.id, "--all");
      world.clock.move(-DAY_MS);
      const owner = await admitted(world.url, keys);
      const key = newBoxKey();
      await poll(world.url, key);
      await approve(owner, world.url, key);
      const { body } = await poll(world.url, key);
      expect(await works(accountWith(world.url, body.token), world.url)).toBe(true);
      expect(await works(before, world.url)).toBe(false);
    },
  );
});
