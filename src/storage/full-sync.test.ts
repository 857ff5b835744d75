// Drives the thread that macOS needs with the call that Linux has, so that its path is run: it answers in order, tells the system's errors
// by name, and a thread that ends is replaced without anybody being told that something is durable which is not.
import { afterEach, beforeEach, expect, setDefaultTimeout } from "bun:test";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onLinux } from "../../test/support/needs.ts";
import { FullSync } from "./full-sync.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let folder: string;
let descriptor: number;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "roost-full-sync-"));
  descriptor = openSync(join(folder, "file"), "w");
});
afterEach(() => {
  closeSync(descriptor);
  rmSync(folder, { recursive: true, force: true });
});

const NOT_OPEN = 999_999;
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => "durable",
    (error: { code?: string }) => error.code,
  );

onLinux.test("it syncs again and again, and says why when the system refuses", async () => {
  const full = new FullSync("data");
  for (const text of ["a", "b"]) {
    writeSync(descriptor, text);
    expect(await codeOf(full.sync(descriptor))).toBe("durable");
  }
  expect(await codeOf(full.sync(NOT_OPEN))).toBe("EBADF");
  expect(await codeOf(full.sync(descriptor))).toBe("durable");
  full.now(descriptor);
  expect(() => full.now(NOT_OPEN)).toThrow("EBADF");
  full.stop();
});

const thread = (script: string) => new Worker(URL.createObjectURL(new Blob([script])));
const DIES = "self.onmessage = () => process.exit(0);";
const THROWS = "self.onmessage = () => { throw new Error('broken'); };";
const real = () => new Worker(new URL("./full-sync-worker.ts", import.meta.url).href);

for (const [name, script] of [
  ["ends without a word", DIES],
  ["throws", THROWS],
] as const)
  onLinux.test(
    `where a thread ${name}, the sync is done on the event loop, and the next thread does the next`,
    async () => {
      let begun = 0;
      const full = new FullSync("data", () => (begun++ % 2 === 0 ? thread(script) : real()));
      expect(await codeOf(full.sync(descriptor))).toBe("durable");
      expect(await codeOf(full.sync(descriptor))).toBe("durable");
      expect(begun).toBe(2);
      full.stop();
      expect(await codeOf(full.sync(NOT_OPEN))).toBe("EBADF");
      full.stop();
    },
  );

onLinux.test("where no thread can be had, the sync is done on the event loop", async () => {
  const full = new FullSync("data", () => {
    throw new Error("no thread");
  });
  expect(await codeOf(full.sync(descriptor))).toBe("durable");
  expect(await codeOf(full.sync(NOT_OPEN))).toBe("EBADF");
});
