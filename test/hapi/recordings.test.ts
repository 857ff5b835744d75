// The shared recordings of the released HAPI hub against Roost: whoever was recorded cannot tell the two apart.
import { test } from "bun:test";
import { needs } from "../support/needs.ts";
import { cliReplay, httpReplay, socketReplay, testReplay, withAlternatives } from "./recordings-suite.ts";
import { hasHapi, roostMay, startRoostHub } from "./roost-hub.ts";

const roost = needs.machine("HAPI that is on by itself", hasHapi);

roost.describe("recorded HTTP and event streams, by Roost", () => {
  testReplay(withAlternatives(httpReplay, roostMay), startRoostHub, test);
});

roost.describe("recorded sockets, by Roost", () => {
  testReplay(socketReplay, startRoostHub, test);
});

roost.describe("the released CLI's recorded steps, by Roost", () => {
  testReplay(cliReplay, startRoostHub, test);
});
