// A clock that is a day or a year off, ahead or behind, now or at the last start: what is deleted by age, and who decides.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { believeClock, doubtInWords, RetentionClock, reachOf, readMoments } from "./clock.ts";

const DAY = 86_400_000;
const YEAR = 365 * DAY;
const NOW = Date.UTC(2026, 0, 1);
/** Something is kept for this long. */
const KEPT = 30 * DAY;

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "roost-retention-clock-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

/** A start: what is stored, and a clock that the test moves. */
async function started(at: number, rows: number[] = [NOW]) {
  const clock = { at };
  const retention = new RetentionClock({
    dataDir,
    name: "happy",
    newest: async (now) => rows.filter((row) => row <= now).toSorted((a, b) => b - a)[0],
    now: () => clock.at,
  });
  await retention.begin();
  const moved = async (to: number) => {
    clock.at = to;
    return (await retention.doubt(KEPT)) === undefined ? "believed" : "doubted";
  };
  return { retention, rows, moved };
}

test("a clock near the newest row is believed, one that is a year beyond it is not", async () => {
  expect(await (await started(NOW + DAY)).moved(NOW + DAY)).toBe("believed");
  rmSync(join(dataDir, "retention-clock.json"));
  const { retention, moved } = await started(NOW + YEAR);
  expect(await moved(NOW + YEAR)).toBe("doubted");
  expect(readMoments(dataDir)).toEqual({ happy: NOW });
  expect(await retention.doubt(KEPT)).toEqual({ now: NOW + YEAR, known: NOW });
});

test("a server that was never believed does not convince its next start", async () => {
  const first = await started(NOW + YEAR);
  first.rows.push(NOW + YEAR);
  expect(await (await started(NOW + YEAR + DAY, first.rows)).moved(NOW + YEAR + DAY)).toBe("doubted");
});

test("what is stored by the same wrong clock proves nothing, also after a restart", async () => {
  expect(await (await started(NOW)).moved(NOW + 1)).toBe("believed");
  const first = await started(NOW + YEAR);
  first.rows.push(NOW + YEAR);
  expect(await first.moved(NOW + YEAR + 1)).toBe("doubted");
  expect(await (await started(NOW + YEAR + DAY, first.rows)).moved(NOW + YEAR + DAY)).toBe("doubted");
  expect(await (await started(NOW + DAY, first.rows)).moved(NOW + DAY)).toBe("believed");
});

test("a clock that is set while the server runs is not believed, and believed again when it is put right", async () => {
  const { rows, moved } = await started(NOW);
  expect(await moved(NOW + 1)).toBe("believed");
  rows.push(NOW + YEAR);
  expect(await moved(NOW + YEAR)).toBe("doubted");
  expect(await moved(NOW + 2)).toBe("believed");
});

test("time that passes in small steps is believed, however long nothing is stored", async () => {
  const { moved } = await started(NOW);
  for (let day = 0; day < 400; day++) expect(await moved(NOW + day * DAY)).toBe("believed");
});

test("at least half of what is kept stays: the reach follows the shortest limit, between a day and 30", async () => {
  expect([reachOf(DAY), reachOf(7 * DAY), reachOf(YEAR), reachOf(Number.POSITIVE_INFINITY)]).toEqual([
    DAY,
    3.5 * DAY,
    30 * DAY,
    30 * DAY,
  ]);
});

test("a person says that it is right, also to a server that runs", async () => {
  const { moved } = await started(NOW);
  expect(await moved(NOW + YEAR)).toBe("doubted");
  believeClock(dataDir, ["happy", "topics"], NOW + YEAR);
  expect(await moved(NOW + YEAR + 1)).toBe("believed");
  expect(readMoments(dataDir)).toEqual({ happy: NOW + YEAR + 1, topics: NOW + YEAR });
});

test("a clock that begins years behind moves nothing back, and is believed once it is right", async () => {
  expect(await (await started(NOW)).moved(NOW + 1)).toBe("believed");
  const behind = await started(Date.UTC(2000, 0, 1));
  expect(await behind.moved(Date.UTC(2000, 0, 1) + 1)).toBe("believed");
  expect(readMoments(dataDir)).toEqual({ happy: NOW + 1 });
  expect(await behind.moved(NOW + DAY)).toBe("believed");
  rmSync(join(dataDir, "retention-clock.json"));
  const unknown = await started(Date.UTC(2000, 0, 1));
  expect(await unknown.moved(Date.UTC(2000, 0, 1) + 1)).toBe("believed");
  expect(await unknown.moved(NOW + DAY)).toBe("believed");
});

test("a clock that was ahead before anything was stored is not believed when it comes again", async () => {
  // A dead battery: the first start of all was a year ahead, and so is the third.
  const first = await started(NOW + YEAR, []);
  expect(await first.moved(NOW + YEAR)).toBe("believed");
  first.rows.push(NOW + YEAR);
  expect(await first.moved(NOW + YEAR + 1)).toBe("believed");
  const second = await started(NOW, [NOW + YEAR, NOW]);
  expect(await second.moved(NOW)).toBe("believed");
  expect(readMoments(dataDir)).toEqual({ happy: NOW });
  const third = await started(NOW + YEAR, [NOW + YEAR, NOW]);
  expect(await third.moved(NOW + YEAR)).toBe("doubted");
});

test("a new folder knows nothing and doubts nothing; an unreadable file counts as none", async () => {
  expect(await (await started(NOW, [])).moved(NOW)).toBe("believed");
  for (const text of ["", "{", '{"happy":"x"}', '{"happy":-1}', '{"happy":1e300}', "[]"]) {
    writeFileSync(join(dataDir, "retention-clock.json"), text);
    expect([text, await (await started(NOW + YEAR)).moved(NOW + YEAR)]).toEqual([text, "doubted"]);
  }
});

test("the sentences say what the clock says, and what to do", async () => {
  const { problem, fix } = doubtInWords({ now: NOW + YEAR, known: NOW });
  expect(problem).toContain("2027-01-01T00:00:00.000Z, 365 days after");
  expect(fix).toContain("roost prune --now-is-right");
});
