// Who may send a large frame now, who waits, and who makes way, with a clock and sizes that the test makes up.
import { expect, test } from "bun:test";
import { FrameTurns, type LargeSender } from "./frame-turns.ts";

const MIB = 1024 * 1024;
const LIMIT = 40 * MIB;

function stage(roomMib = 80) {
  let now = 0;
  const senders = new Map<{ name: string }, LargeSender>();
  const turns = new FrameTurns<{ name: string }>(
    () => roomMib * MIB,
    () => now,
  );
  const names = (keys: readonly { name: string }[]) => keys.map(({ name }) => name).join("");
  return {
    sender: (name: string) => {
      const key = { name };
      return {
        has: (unfinishedMib: number, keptMib = 0, isQuiet = false) =>
          senders.set(key, {
            unfinished: unfinishedMib * MIB,
            kept: keptMib * MIB,
            maxBytes: LIMIT,
            isQuiet: () => isQuiet,
          }),
        /** Its frame was handed over. */
        handed: () => turns.forget(key),
        gone: () => senders.delete(key),
      };
    },
    look: (afterMs = 8, isHandling = false) => {
      now += afterMs;
      const { pause, resume, end } = turns.look(senders, isHandling);
      for (const key of end) senders.delete(key);
      return `pause ${names(pause)}, resume ${names(resume)}, end ${names(end)}`;
    },
  };
}

const NOTHING = "pause , resume , end ";

test("fast frames come one at a time, first come, first served, and small ones never wait", () => {
  const { sender, look } = stage();
  const [a, b, c, small] = [sender("a"), sender("b"), sender("c"), sender("s")];
  a.has(5);
  small.has(0.5);
  expect(look()).toBe(NOTHING);
  b.has(5);
  c.has(5);
  expect(look()).toBe("pause bc, resume , end ");
  a.has(38);
  expect(look()).toBe(NOTHING);
  a.handed();
  a.gone();
  expect(look()).toBe("pause , resume b, end ");
});

test("a kept buffer makes way for who waits: when it is quiet, or when its next frame stands behind in the line", () => {
  const { sender, look } = stage();
  const [a, b] = [sender("a"), sender("b")];
  a.has(5);
  look();
  b.has(5);
  expect(look()).toBe("pause b, resume , end ");
  a.handed();
  a.has(0, 60);
  expect(look()).toBe(NOTHING);
  a.has(0, 60, true);
  expect(look()).toBe("pause , resume b, end a");
  // It is back and begins again at once with its own buffer, before anything was quiet.
  b.handed();
  b.has(0, 60);
  const c = sender("c");
  c.has(5);
  expect(look()).toBe("pause c, resume , end ");
  b.has(5, 60);
  b.has(5, 60);
  expect(look()).toBe("pause b, resume , end ");
  expect(look(2_000)).toBe("pause , resume c, end b");
});

test("who is slow is foreseen as slow: others come beside it, and who stopped is passed by and makes way at last", () => {
  const { sender, look } = stage(50);
  const [slow, fast] = [sender("s"), sender("f")];
  slow.has(5);
  look();
  fast.has(5);
  expect(look()).toBe("pause f, resume , end ");
  for (let mib = 5.1; mib < 6; mib += 0.01) {
    slow.has(mib);
    if (look(100).includes("resume f")) break;
  }
  fast.has(39);
  expect(look()).toBe(NOTHING);
  fast.handed();
  fast.gone();
  slow.has(20);
  look();
  const next = sender("n");
  next.has(5);
  const seen = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(() => look(1_000)).join("; ");
  expect(seen).toMatch(/resume n/);
});

test("nobody waits for ever: the first in line goes on in the end, others are sent away to come again", () => {
  const { sender, look } = stage(50);
  const [busy, a, b] = [sender("k"), sender("a"), sender("b")];
  // Its last frame is still being handled.
  busy.has(0, 40);
  a.has(5);
  b.has(4);
  expect(look()).toBe("pause ab, resume , end ");
  expect(look(10_000)).toBe(NOTHING);
  expect(look(8_000)).toBe("pause , resume a, end b");
});

test("what waits is bounded: those that came last go first", () => {
  const { sender, look } = stage(40);
  for (const name of "abc") sender(name).has(8);
  expect(look()).toBe("pause bc, resume , end ");
  for (const name of "de") sender(name).has(8);
  expect(look()).toBe("pause , resume , end ed");
});

test("while a frame is handled nobody's comes, also not one that has only begun", () => {
  const { sender, look } = stage();
  const [a, b] = [sender("a"), sender("b")];
  a.has(5);
  look();
  expect(look(8, true)).toBe("pause a, resume , end ");
  b.has(5);
  expect(look(8, true)).toBe("pause b, resume , end ");
  expect(look()).toBe("pause , resume a, end ");
});

test("frames that are handled one after the other keep nobody longer than anything else, and who has waited so long is not stopped again", () => {
  const { sender, look } = stage(50);
  const [a, b] = [sender("a"), sender("b")];
  a.has(5);
  b.has(4);
  expect(look(8, true)).toBe("pause ab, resume , end ");
  for (let waited = 0; waited < 16_900; waited += 100) expect(look(100, true)).toBe(NOTHING);
  // The first goes on, the other comes again.
  expect(look(200, true)).toBe("pause , resume a, end b");
  a.has(20);
  expect(look(8, true)).toBe(NOTHING);
  // Also while buffers of others are in the way.
  sender("k").has(0, 40);
  expect([look(), look(8, true)]).toEqual([NOTHING, NOTHING]);
  a.handed();
  a.gone();
  a.has(5);
  expect(look(8, true)).toBe("pause a, resume , end ");
});
