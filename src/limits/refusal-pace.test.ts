// Whoever is shut out hears it at once some times, and then slowly: a client's endless retry turns into a slow one, and nothing that
// is held outlives its client or keeps the server from stopping.
import { expect, test } from "bun:test";
import { newAccount } from "../../test/support/happy-client.ts";
import { testServer } from "../../test/support/server.ts";
import { RefusalPace } from "./refusal-pace.ts";

const AT_ONCE = 20;

async function used(pace: RefusalPace, account: string): Promise<void> {
  for (let refusal = 0; refusal < AT_ONCE; refusal++) await pace.turn(account, new AbortController().signal);
}

test("the first refusals come at once, the next after the hold, those of others at once", async () => {
  const pace = new RefusalPace(200);
  await used(pace, "a");
  expect(pace.held).toBe(0);
  const begun = performance.now();
  const held = pace.turn("a", new AbortController().signal);
  expect(pace.held).toBe(1);
  await pace.turn("b", new AbortController().signal);
  expect(performance.now() - begun).toBeLessThan(150);
  await held;
  expect(performance.now() - begun).toBeGreaterThanOrEqual(190);
  expect(pace.held).toBe(0);
});

test("a client that goes away is not kept, and a stop sends everything", async () => {
  const pace = new RefusalPace(60_000);
  await used(pace, "a");
  const client = new AbortController();
  const gone = pace.turn("a", client.signal);
  const waiting = [
    pace.turn("a", new AbortController().signal),
    pace.turn("a", new AbortController().signal),
  ];
  client.abort();
  await gone;
  expect(pace.held).toBe(2);
  pace.release();
  await Promise.all(waiting);
  expect(pace.held).toBe(0);
});

test("what is held is bounded", async () => {
  const pace = new RefusalPace(60_000);
  await used(pace, "a");
  for (let refusal = 0; refusal < 1_500; refusal++) void pace.turn("a", new AbortController().signal);
  expect(pace.held).toBe(1_000);
  pace.release();
});

test("a server with held refusals stops at once, and they are answered", async () => {
  const server = await testServer();
  const account = await newAccount(server.url);
  const { Database } = await import("bun:sqlite");
  await server.restart(async () => {
    const sqlite = new Database(`${server.dataDir}/happy.db`);
    sqlite.run("UPDATE accounts SET disabled_at = 1");
    sqlite.close();
  });
  for (let refusal = 0; refusal < AT_ONCE; refusal++)
    expect((await account.call("GET", "/v1/sessions")).status).toBe(401);
  let answered = 0;
  const held = Array.from({ length: 10 }, () =>
    account.call("GET", "/v1/sessions").then(({ status }) => {
      answered++;
      return status;
    }),
  );
  // An answer that overtakes them proves that they have arrived.
  await fetch(`${server.url}/health`);
  expect(answered).toBe(0);
  const begun = performance.now();
  await server.stop();
  expect(performance.now() - begun).toBeLessThan(2_000);
  expect(await Promise.all(held)).toEqual(Array.from({ length: 10 }, () => 401));
});
