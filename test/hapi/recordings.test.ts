// The shared recordings of the released HAPI hub against Roost: whoever was recorded cannot tell the two apart.
import { describe, test } from "bun:test";
import { cliReplay, httpReplay, socketReplay, testReplay, withAlternatives } from "./recordings-suite.ts";
import { roostMay, startRoostHub } from "./roost-hub.ts";

describe("recorded HTTP and event streams, by Roost", () => {
  testReplay(withAlternatives(httpReplay, roostMay), startRoostHub, test);
});

describe("recorded sockets, by Roost", () => {
  testReplay(socketReplay, startRoostHub, test);
});

describe("the released CLI's recorded steps, by Roost", () => {
  testReplay(cliReplay, startRoostHub, test);
});
