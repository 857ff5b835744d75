// Room of a namespace: never given twice, and found again when somebody else has made some.
import { expect, test } from "bun:test";
import { ScratchRoom } from "./scratch-room.ts";

function room(maxBytes: number) {
  const disk = { bytes: 0, walks: 0 };
  let now = 0;
  let gate: Promise<void> = Promise.resolve();
  const room = new ScratchRoom({
    measure: async () => {
      disk.walks++;
      const { bytes } = disk;
      await gate;
      return bytes;
    },
    maxBytes: () => maxBytes,
    steady: () => now,
  });
  const store = async (bytes: number) => {
    const isTaken = await room.take("n", bytes);
    if (isTaken) disk.bytes += bytes;
    if (isTaken) room.taken("n", bytes, true);
    return isTaken;
  };
  return {
    room,
    disk,
    store,
    pass: (ms: number) => {
      now += ms;
    },
    hold: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
  };
}

test("what a command beside the server has removed is room within ten seconds, and a full namespace costs no walk each time", async () => {
  const { disk, store, pass } = room(100);
  expect([await store(60), await store(60)]).toEqual([true, false]);
  disk.bytes = 0;
  for (let n = 0; n < 50; n++) expect(await store(60)).toBe(false);
  expect(disk.walks).toBe(1);
  pass(10_000);
  expect([await store(60), await store(60)]).toEqual([true, false]);
  expect(disk.walks).toBe(2);
  pass(10_000);
  const refused = await Promise.all(Array.from({ length: 20 }, () => store(60)));
  expect([refused.includes(true), disk.walks]).toEqual([false, 3]);
});

test("several that wait for the same look pass the limit no more than one after the other", async () => {
  const { disk, store, pass, hold } = room(100);
  expect([await store(100), await store(1)]).toEqual([true, false]);
  disk.bytes = 0;
  pass(10_000);
  const go = hold();
  const waiting = [store(40), store(40), store(40)];
  await Promise.resolve();
  go();
  const taken = (await Promise.all(waiting)).filter(Boolean).length;
  expect(taken * 40).toBeLessThanOrEqual(100);
  expect(taken).toBeGreaterThan(0);
  expect(disk.bytes).toBe(taken * 40);
});

test("what is stored while it looks counts", async () => {
  const { room: rooms, disk, store, pass, hold } = room(100);
  expect(await store(50)).toBe(true);
  // One that had been let in before the look ends after it has begun.
  expect(await rooms.take("n", 50)).toBe(true);
  pass(10_000);
  const go = hold();
  const other = store(70);
  await Promise.resolve();
  rooms.taken("n", 50, true);
  go();
  expect(await other).toBe(false);
  expect([await store(1), disk.bytes]).toEqual([false, 50]);
});
