// The shared recordings against the hub that they were made from: the replayer agrees with it, and notices when it does not.
import { expect, test } from "bun:test";
import { needs } from "../support/needs.ts";
import { testBending } from "./bending-suite.ts";
import { originalHub, startOriginalHub } from "./original-hub.ts";
import { cliReplay, counts, httpReplay, socketReplay, testReplay } from "./recordings-suite.ts";

const original = needs.installed("the released hapi 0.30.7", originalHub());

test("no recording gets lost on the way to its test", () => {
  expect(counts).toEqual({ http: 60, socket: 65 });
});

original.describe("recorded HTTP and event streams, by the released hub", () => {
  testReplay(httpReplay, startOriginalHub, test);
});

original.describe("recorded sockets, by the released hub", () => {
  testReplay(socketReplay, startOriginalHub, test);
});

original.describe("the released CLI's recorded steps, by the released hub", () => {
  testReplay(cliReplay, startOriginalHub, test);
});

original.describe("the replayer", () => {
  testBending(startOriginalHub, test);
});
