import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { forgetProgramPages } from "./program-pages.ts";

/** Of what this process executes. */
function residentKb(): number {
  const parts = readFileSync("/proc/self/smaps", "latin1").split(/^(?=[\da-f]+-[\da-f]+ )/m);
  const own = parts.filter((part) => part.includes(" r-xp ") && part.includes(process.execPath));
  return own.reduce((sum, part) => sum + Number(/^Rss: +(\d+)/m.exec(part)?.[1] ?? 0), 0);
}

test.if(process.platform === "linux")("what is not executed any more is given back, and comes again", () => {
  const before = residentKb();
  expect(forgetProgramPages()).toBeGreaterThan(0);
  expect(residentKb()).toBeLessThan(before * 0.75);
  // What was there is there.
  expect(new Bun.CryptoHasher("sha256").update("a").digest("hex")).toStartWith("ca978112ca1bbdca");
  expect(new TextDecoder().decode(Bun.gunzipSync(Bun.gzipSync(new TextEncoder().encode("again"))))).toBe(
    "again",
  );
});

test.if(process.platform !== "linux")("elsewhere nothing is touched", () => {
  expect(forgetProgramPages()).toBe(0);
});
