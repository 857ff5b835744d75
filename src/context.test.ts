// The house around its protocols: opened in the order of the list, stopped in the reverse order, also when a later one cannot be opened.
import { afterEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseConfig } from "../test/support/config.ts";
import { startServer } from "./context.ts";
import { createLog } from "./observability/log.ts";
import type { ProtocolManifest } from "./protocol/manifest.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function house(...protocols: ProtocolManifest[]) {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-context-"));
  folders.push(dataDir);
  const config = { ...parseConfig({}), dataDir, port: 0, host: "127.0.0.1", masterSecret: "s" };
  return { dataDir, start: () => startServer(config, createLog("silent"), protocols) };
}

/** Notes what happens to it. */
const guest = (name: string, said: string[], problem?: Error): ProtocolManifest => ({
  name,
  settings: {},
  isOn: () => true,
  databases: [],
  open: async () => {
    said.push(`${name} opens`);
    if (problem !== undefined) throw problem;
    return {
      name,
      http: [{ paths: [`/${name}`], fetch: () => new Response(name) }],
      sockets: [],
      start: () => void said.push(`${name} starts`),
      stop: async () => void said.push(`${name} stops`),
    };
  },
});

test("protocols open and start in the order of the list, and stop in the reverse", async () => {
  const said: string[] = [];
  const server = await house(guest("a", said), guest("b", said)).start();
  expect(await (await fetch(`http://127.0.0.1:${server.port}/b`)).text()).toBe("b");
  await server.stop();
  expect(said).toEqual(["a opens", "b opens", "a starts", "b starts", "b stops", "a stops"]);
});

test("what was opened is stopped when a later one cannot be, and the folder is free again", async () => {
  const said: string[] = [];
  const { dataDir, start } = house(guest("a", said), guest("b", said, new Error("b has no bed")));
  for (let n = 0; n < 2; n++) {
    await expect(start()).rejects.toThrow("b has no bed");
    expect(said.splice(0)).toEqual(["a opens", "b opens", "a stops"]);
  }
  expect(existsSync(join(dataDir, "roost.sock"))).toBe(false);
});

test("two protocols that claim one path are refused at the start, with both named", async () => {
  const said: string[] = [];
  const other: ProtocolManifest = {
    ...guest("b", said),
    open: async () => ({
      name: "b",
      http: [{ paths: ["/a"], fetch: () => new Response() }],
      sockets: [],
      start: () => {},
      stop: async () => {},
    }),
  };
  await expect(house(guest("a", said), other).start()).rejects.toThrow("Both a and b claim the path /a.");
  expect(said).toEqual(["a opens", "a stops"]);
});
