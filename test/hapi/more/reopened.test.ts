// A server is closed and opened again in one process, as often as one likes: nothing of the one before holds the database.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { isHeldElsewhere } from "../../../src/storage/held-elsewhere.ts";
import { HapiDesk } from "../../support/hapi-desk.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

test("twenty times one after the other, used in between", async () => {
  const id = await desk.session();
  for (let round = 1; round <= 20; round++) {
    await desk.ask("POST", `/api/sessions/${id}/scratchlist`, { text: `note ${round}` });
    await desk.ask("POST", `/api/sessions/${id}/messages`, {
      text: `message ${round}`,
      localId: `m${round}`,
    });
    await desk.ask("GET", `/api/sessions/${id}/messages`);
    expect((await desk.ask("GET", "/api/sessions")).body).toMatchObject({ sessions: [{ id }] });
    // A start says "Another program has the database open" where this holds.
    await desk.server.restart(async () => {
      expect(isHeldElsewhere(join(desk.home, "hapi.db"))).toBe(false);
    });
  }
  const { body } = await desk.ask("GET", `/api/sessions/${id}/scratchlist`);
  expect((body as { entries: unknown[] }).entries).toHaveLength(20);
}, 60_000);
