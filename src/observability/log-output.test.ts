// Lines on their way to a reader that is quick, slow, stopped, gone, or back again.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { run } from "../../test/support/process.ts";
import { until } from "../../test/support/until.ts";
import type { LogChannel } from "./log-channel.ts";
import { LogOutput } from "./log-output.ts";

/** A reader that takes `room` bytes and then no more. */
class Reader implements LogChannel {
  text = "";
  room = Number.POSITIVE_INFINITY;
  problem: string | undefined;
  calls = 0;
  largest = 0;

  write(bytes: Uint8Array): number {
    this.calls++;
    this.largest = Math.max(this.largest, bytes.byteLength);
    if (this.problem !== undefined) throw Object.assign(new Error("cannot write"), { code: this.problem });
    const taken = Math.min(this.room, bytes.byteLength);
    this.room -= taken;
    this.text += Buffer.from(bytes.subarray(0, taken)).toString();
    return taken;
  }

  get lines(): string[] {
    return this.text.split("\n").slice(0, -1);
  }
}

const line = (n: number, bytes = 10) => `${String(n).padEnd(bytes - 1, ".")}\n`;
const MIB = 1024 * 1024;

test("a quick reader gets each line at once", () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  for (let n = 0; n < 3; n++) {
    output.write(line(n, 5));
    expect(reader.lines).toHaveLength(n + 1);
  }
  expect(output.waitingBytes).toBe(0);
});

test("lines of one turn that may wait for its end go together, in their order, and no later than what goes at once", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  for (let n = 0; n < 3; n++) output.writeSoon(line(n, 5));
  expect(reader.calls).toBe(0);
  await new Promise(setImmediate);
  expect([reader.calls, reader.lines.length]).toEqual([1, 3]);
  output.writeSoon(line(3, 5));
  output.write(line(4, 5));
  expect(reader.lines.map(Number.parseFloat)).toEqual([0, 1, 2, 3, 4]);
  output.writeSoon(line(5, 5));
  output.flushNow();
  expect(reader.lines).toHaveLength(6);
});

test("what a stopped reader does not take is kept in order, also the rest of a line that went in part", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 13;
  for (let n = 0; n < 50; n++) output.write(line(n));
  expect(reader.text).toBe("0........\n1..");
  expect(output.waitingBytes).toBe(50 * 10 - 13);
  reader.room = Number.POSITIVE_INFINITY;
  await output.flushed();
  expect(reader.lines.map(Number.parseFloat)).toEqual(Array.from({ length: 50 }, (_, n) => n));
  expect(output.lostTotal).toBe(0);
});

test("beyond the bound lines are lost, and a line in their place says how many, once", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  for (let n = 0; n < 300; n++) output.write(line(n, 10_000));
  expect(output.waitingBytes).toBeLessThanOrEqual(2 * MIB);
  expect(output.lostTotal).toBe(300 - Math.floor((2 * MIB) / 10_000));
  reader.room = Number.POSITIVE_INFINITY;
  await output.flushed();
  output.write(line(300));
  const told = reader.lines.findIndex((text) => text.startsWith("{"));
  expect(JSON.parse(reader.lines[told] ?? "")).toMatchObject({
    level: 40,
    lost: output.lostTotal,
    msg: `${output.lostTotal} lines were lost: the reader of the log is too slow`,
  });
  expect(reader.lines.toSpliced(told, 1).map(Number.parseFloat)).toEqual([
    ...Array.from({ length: 300 - output.lostTotal }, (_, n) => n),
    300,
  ]);
});

test("under lasting load that leaves the event loop no turn, what waits stays within the bound, in bytes and not in characters", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  let most = 0;
  for (let n = 0; n < 20_000; n++) {
    output.write(`${n} ${"\u2603".repeat(1_000)}\n`);
    most = Math.max(most, output.waitingBytes);
  }
  expect(most).toBeWithin(MIB, 2 * MIB + 1);
  expect(output.lostTotal).toBeGreaterThan(19_000);
  // Nor is the reader asked for every line: the next turn does that.
  expect(reader.calls).toBe(1);
  reader.room = Number.POSITIVE_INFINITY;
  await output.flushed();
  expect(output.waitingBytes).toBe(0);
  // In pieces, so that a reader takes some even when it takes little.
  expect(reader.largest).toBeLessThan(256 * 1024);
});

test("once lines were lost, none is kept before half of what waits has gone: stretches of log, not single lines", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  const kept = Math.floor((2 * MIB) / 10_000);
  for (let n = 0; n < 300; n++) output.write(line(n, 10_000));
  const lost = output.lostTotal;
  // Room for some lines, but not for half.
  reader.room = 500_000;
  await until("the reader's looks", () => reader.room === 0);
  for (let n = 300; n < 310; n++) output.write(line(n, 10_000));
  expect(output.lostTotal).toBe(lost + 10);
  reader.room = 2 * MIB;
  await until("half of it to be gone", () => output.waitingBytes <= MIB);
  output.write(line(310, 10_000));
  expect(output.lostTotal).toBe(lost + 10);
  reader.room = Number.POSITIVE_INFINITY;
  await output.flushed();
  const [told] = reader.lines.filter((text) => text.startsWith("{"));
  expect(JSON.parse(told ?? "")).toMatchObject({ lost: lost + 10 });
  expect(reader.lines).toHaveLength(kept + 2);
});

test("a reader that takes nothing is looked at ever more seldom, and keeps no process alive", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  output.write(line(1));
  await Bun.sleep(400);
  // 1 + 2 + 4 + ... + 64 ms, and then every 100 ms.
  expect(reader.calls).toBeLessThan(15);
  const program = `
    const { LogOutput } = await import(${JSON.stringify(join(import.meta.dir, "log-output.ts"))});
    new LogOutput({ write: () => 0 }).write("waits\\n");`;
  expect(await run([process.execPath, "-e", program])).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("what waits for a reader that goes away is lost and counted, and nothing of it is kept", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 15;
  for (let n = 0; n < 50; n++) output.write(line(n));
  reader.problem = "EPIPE";
  await output.flushed();
  expect([output.waitingBytes, output.lostTotal]).toEqual([0, 49]);
  reader.problem = undefined;
  reader.room = Number.POSITIVE_INFINITY;
  await output.flushed();
  expect(reader.text).toBe("0........\n1....");
});

test("a line larger than the bound is lost alone", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  output.write(line(1, 3 * MIB));
  output.write(line(2));
  expect(output.lostTotal).toBe(1);
  expect(reader.lines).toHaveLength(2);
  expect(reader.lines[0]).toContain("1 line was lost");
});

test.concurrent("a reader that is gone is not asked for every line; when one comes back it hears how many it has missed", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.problem = "EPIPE";
  for (let n = 0; n < 1_000; n++) output.write(line(n));
  expect(reader.calls).toBe(1);
  expect(output.lostTotal).toBe(1_000);
  expect(output.waitingBytes).toBe(0);
  reader.problem = undefined;
  const began = performance.now();
  while (reader.text === "" && performance.now() - began < 8_000) {
    output.write(line(1));
    await Bun.sleep(50);
  }
  expect(reader.lines[0]).toMatch(
    /"lost":1\d\d\d,"msg":"1\d\d\d lines were lost: the log could not be written \(EPIPE\)"/,
  );
}, 10_000);

test.concurrent("a line that went in part when the reader broke is ended before the next, and what a lost notice told is told again", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  for (let n = 0; n < 300; n++) output.write(line(n, 10_000));
  // More than half, to the middle of a line: the notice of what was lost waits by now.
  reader.room = 1_205_000;
  await until("most of it to be read", () => reader.room === 0);
  expect(reader.text).not.toContain("lost");
  reader.problem = "EPIPE";
  await until("the failure to be seen", () => output.waitingBytes === 0);
  const lost = output.lostTotal;
  reader.problem = undefined;
  reader.room = Number.POSITIVE_INFINITY;
  await until("the reader to be tried again", () => {
    output.write(line(300));
    return reader.text.includes("lost");
  });
  const after = reader.text.slice(1_205_000).split("\n");
  // Its rest will never come: the line ends here.
  expect(after[0]).toBe("");
  const told = JSON.parse(after[1] ?? "");
  expect(told.msg).toContain("lines were lost: the log could not be written (EPIPE)");
  // All that is missing in what was read, the broken line among it.
  expect(told.lost).toBeGreaterThanOrEqual(lost);
  expect(told.lost).toBe(output.lostTotal);
}, 15_000);

test.concurrent("the end does not wait for ever for a reader that takes a little at a time", async () => {
  const output = new LogOutput({ write: () => 1 });
  const patient = new LogOutput({ write: (bytes) => (bytes.byteLength > 0 && turn() ? 1 : 0) });
  let taken = 0;
  /** One byte, and then none until the next look. */
  const turn = () => taken++ % 2 === 0;
  output.write(line(1));
  expect(output.waitingBytes).toBe(0);
  for (let n = 0; n < 2_000; n++) patient.write(line(n, 1_000));
  const began = performance.now();
  await patient.flushed();
  expect(performance.now() - began).toBeWithin(4_900, 9_000);
  expect(patient.waitingBytes).toBeGreaterThan(0);
}, 15_000);

test("the end of the process waits for a slow reader and not for a stopped one", () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  reader.room = 0;
  output.write(line(1));
  const began = performance.now();
  output.flushNow();
  expect(performance.now() - began).toBeLessThan(2_000);
  const slow = { write: (bytes: Uint8Array) => reader.write(bytes.subarray(0, 7)) };
  const patient = new LogOutput(slow);
  reader.room = 0;
  for (let n = 0; n < 20; n++) patient.write(line(n));
  reader.text = "";
  reader.room = Number.POSITIVE_INFINITY;
  patient.flushNow();
  expect(reader.lines).toHaveLength(20);
});

test("the notice is text for people where the lines are", () => {
  const reader = new Reader();
  const output = new LogOutput(reader, (text) => `> ${text}`);
  output.write(line(1, 3 * MIB));
  output.write(line(2));
  expect(reader.lines.every((text) => text.startsWith("> "))).toBe(true);
});
