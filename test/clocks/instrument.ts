// The instrument itself: a server whose clock is moved lives in the moved time, at once and after a restart.
import { afterAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { clockTest, type FakeClock, fakeClock, startWithClock, YEAR_MS } from "../support/fake-clock.ts";
import { newAccount } from "../support/happy-client.ts";

const dataDir = mkdtempSync(join(tmpdir(), "roost-clock-"));
afterAll(() => rmSync(dataDir, { recursive: true, force: true }));

/** The answer's own date has whole seconds. */
async function offBy(url: string, clock: FakeClock): Promise<number> {
  const account = await newAccount(url);
  const { body } = await account.call("POST", "/v1/sessions", {
    tag: crypto.randomUUID(),
    metadata: "m",
    agentState: null,
    dataEncryptionKey: null,
  });
  return Math.abs(body.session.createdAt - clock.now());
}

clockTest.concurrent(
  "a server lives in the time that its clock is moved to, also after a restart",
  async () => {
    using clock = fakeClock();
    const launch = { dataDir, env: { ROOST_LOG_LEVEL: "warn" } };
    const first = await startWithClock(launch, clock);
    expect(await offBy(first.url, clock)).toBeLessThan(10_000);
    clock.move(YEAR_MS);
    expect(await offBy(first.url, clock)).toBeLessThan(10_000);
    expect(await first.end("SIGTERM")).toBe(0);
    const second = await startWithClock(launch, clock);
    expect(await offBy(second.url, clock)).toBeLessThan(10_000);
    expect(await second.end("SIGTERM")).toBe(0);
  },
);
