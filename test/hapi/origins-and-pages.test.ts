// Which pages may use a hub, and where the app's page answers, asked of the released hub and of Roost at a port of its own: one table for
// both (hapi-http-sse A3, E3, H7).
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Config } from "../support/config.ts";
import { freePort } from "../support/free-port.ts";
import { smallApp } from "../support/hapi-app.ts";
import { needs } from "../support/needs.ts";
import { testServer } from "../support/server.ts";
import { originalHub, startOriginalHub } from "./original-hub.ts";

setDefaultTimeout(60_000);
const original = needs.installed("the released hapi 0.30.7", originalHub());

interface Hub {
  readonly url: string;
  stop(): Promise<void>;
}
interface Given {
  readonly list?: string;
  readonly publicUrl?: string;
}

const ODD = "https://a.example/,https://B.Example,http://c.example:80, https://d.example:443/path ";
/** `usual` is http://localhost and the hub's own port. */
const ORIGINS: readonly (readonly [Given, allowed: readonly string[], not: readonly string[]])[] = [
  [{}, ["usual"], ["https://a.example", "null", "http://localhost:1"]],
  [{ list: "" }, ["usual"], ["https://a.example"]],
  [
    { list: "https://a.example" },
    ["https://a.example"],
    ["usual", "http://a.example", "https://a.example:8443"],
  ],
  [
    { list: ODD },
    ["https://a.example", "https://b.example", "http://c.example", "https://d.example"],
    ["usual", "https://d.example:8443", "null"],
  ],
  [{ publicUrl: "https://HUB.example/base/" }, ["https://hub.example"], ["usual", "http://hub.example"]],
];

const PAGES: readonly (readonly [
  method: string,
  path: string,
  headers: Record<string, string>,
  "page" | "404",
])[] = ["/", "/?token=x", "/sessions/abc", "/whatever", "/assets/gone.js", "/robots.txt", "/Sessions"]
  .flatMap((path) =>
    [{}, { accept: "text/html" }, { accept: "application/json" }].map(
      (headers) => ["GET", path, headers as Record<string, string>, "page"] as const,
    ),
  )
  .concat([
    ["GET", "/apifoo", {}, "404"],
    ["POST", "/", {}, "404"],
    ["OPTIONS", "/", {}, "404"],
    ["DELETE", "/whatever", {}, "404"],
  ] as never);

function compare(register: typeof test, start: (given: Given) => Promise<Hub>) {
  for (const [given, allowed, not] of ORIGINS)
    register(`origins: ${JSON.stringify(given)}`, async () => {
      const hub = await start(given);
      const usual = `http://localhost:${new URL(hub.url).port}`;
      const ask = async (name: string) => {
        const origin = name === "usual" ? usual : name;
        const api = await fetch(`${hub.url}/api/sessions`, { headers: { origin } });
        const socket = await fetch(`${hub.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } });
        const told = api.headers.get("access-control-allow-origin");
        return [name, told === origin ? "allowed" : told, socket.status];
      };
      try {
        for (const name of allowed) expect(await ask(name)).toEqual([name, "allowed", 200]);
        for (const name of not) expect(await ask(name)).toEqual([name, null, 403]);
      } finally {
        await hub.stop();
      }
    });
  register("pages", async () => {
    const hub = await start({});
    try {
      for (const [method, path, headers, what] of PAGES) {
        const answer = await fetch(hub.url + path, { method, headers });
        const text = await answer.text();
        const got = /<!doctype html>/i.test(text) ? "page" : text === "404 Not Found" ? "404" : text;
        expect([method, path, got, answer.status]).toEqual([method, path, what, what === "page" ? 200 : 404]);
      }
    } finally {
      await hub.stop();
    }
  });
}

describe("Roost", () => {
  compare(test, async ({ list, publicUrl }) => {
    const hapiWebDir = mkdtempSync(join(tmpdir(), "roost-hapi-pages-"));
    for (const [name, content] of smallApp()) {
      mkdirSync(dirname(join(hapiWebDir, name)), { recursive: true });
      writeFileSync(join(hapiWebDir, name), content);
    }
    const hapiPort = freePort();
    const settings = {
      hapiEnabled: true,
      hapiPort,
      hapiWebDir,
      ...(list !== undefined && { hapiCorsOrigins: list.split(",").flatMap((one) => one.trim() || []) }),
      ...(publicUrl !== undefined && { hapiPublicUrl: publicUrl }),
    };
    const server = await testServer(settings as Partial<Config>);
    return {
      url: `http://127.0.0.1:${hapiPort}`,
      stop: async () => {
        await server.stop();
        rmSync(hapiWebDir, { recursive: true, force: true });
      },
    };
  });
});

original.describe("the released hub", () => {
  compare(test, ({ list, publicUrl }) =>
    startOriginalHub({
      ...(list !== undefined && { CORS_ORIGINS: list }),
      ...(publicUrl !== undefined && { HAPI_PUBLIC_URL: publicUrl }),
    }),
  );
});
