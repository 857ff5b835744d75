// Lines on their way to a reader that is quick, slow, stopped, gone, or back again.
import { expect, test } from "bun:test";
import type { LogChannel } from "./log-channel.ts";
import { LogOutput } from "./log-output.ts";

/** A reader that takes `room` bytes and then no more. */
class Reader implements LogChannel {
  text = "";
  room = Number.POSITIVE_INFINITY;
  problem: string | undefined;
  calls = 0;

  write(bytes: Uint8Array): number {
    this.calls++;
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

test("a line larger than the bound is lost alone", async () => {
  const reader = new Reader();
  const output = new LogOutput(reader);
  output.write(line(1, 3 * MIB));
  output.write(line(2));
  expect(output.lostTotal).toBe(1);
  expect(reader.lines).toHaveLength(2);
  expect(reader.lines[0]).toContain("1 line was lost");
});

test("a reader that is gone is not asked for every line; when one comes back it hears how many it has missed", async () => {
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
