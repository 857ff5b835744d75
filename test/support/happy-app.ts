// The Happy protocol without a port, a door or timers: an app that is asked with a Request, with a fresh data folder.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import nacl from "tweetnacl";
import { openHappy } from "../../src/happy/index.ts";
import { happy } from "../../src/happy/protocol.ts";
import { FrontPage } from "../../src/http/front-page.ts";
import { createLog } from "../../src/observability/log.ts";
import { Metrics } from "../../src/observability/metrics.ts";
import { openOne } from "../../src/protocol/open-databases.ts";
import { placesOf } from "../../src/protocol/places.ts";
import { httpRoutes, pathOf } from "../../src/server/http-routes.ts";
import { SocketIoPaths } from "../../src/server/socket-io.ts";
import type { Database } from "../../src/storage/database.ts";
import { openBlobs } from "../../src/storage/open-blobs.ts";
import { type Config, parseConfig } from "./config.ts";
import { testLimits } from "./limits.ts";
import type { Reply } from "./raw-http.ts";
import { requestFacts } from "./request-facts.ts";
import { TEST_SECRET } from "./server.ts";

export interface TestApp extends AsyncDisposable {
  fetch(request: Request): Promise<Response>;
  /** As `ask` of raw-http: the target as it stands, `headers` in whole lines. */
  ask(method: string, target: string, headers?: string, body?: string): Promise<Reply>;
  /** The token of a new account, signed in by challenge. */
  signIn(): Promise<string>;
}

export async function testApp(overrides: Partial<Config> = {}): Promise<TestApp> {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-app-"));
  const config: Config = { ...parseConfig({}), happyRegistration: "open", ...overrides, dataDir };
  const log = createLog(process.env.ROOST_TEST_LOG ?? "silent");
  const databases = new Map<string, Database>();
  for (const place of placesOf(happy, config)) databases.set(place.spec.name, await openOne(place, { log }));
  const limits = testLimits(overrides);
  const blobs = openBlobs(config, log);
  const opened = await openHappy({
    config,
    masterSecret: config.masterSecret ?? TEST_SECRET,
    database: (name) => databases.get(name) as Database,
    folder: () => dataDir,
    blobs,
    metrics: new Metrics(),
    limits,
    sockets: new SocketIoPaths({ limits, log }),
    cluster: undefined,
    rootIsTaken: false,
    offered: () => [],
    baseUrl: () => "http://roost",
    log,
  });
  const frontPage = new FrontPage([{ protocol: opened.name, share: opened.frontPage ?? {} }], log);
  const routes = httpRoutes([opened, frontPage.served()]);
  const fetch = async (request: Request) => {
    const answer = routes(pathOf(request.url)) ?? (() => new Response(null, { status: 404 }));
    return answer(request, requestFacts({ addresses: limits.addresses }));
  };
  const ask: TestApp["ask"] = async (method, target, headers = "", body = "") => {
    const lines = headers.split("\r\n").filter((line) => line !== "");
    const given = new Headers(
      lines.map((line): [string, string] => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
      }),
    );
    if (body !== "" && !given.has("content-length"))
      given.set("content-length", String(Buffer.byteLength(body)));
    const init = { method, headers: given, ...(body !== "" && { body }) };
    const answer = await fetch(new Request(`http://roost${target}`, init));
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.startsWith("application/json") && text !== "";
    const json = isJson ? JSON.parse(text) : undefined;
    return { status: answer.status, headers: answer.headers, text, json };
  };
  return {
    fetch,
    ask,
    signIn: async () => {
      const keys = nacl.sign.keyPair();
      const challenge = nacl.randomBytes(32);
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
      const body = JSON.stringify({
        publicKey: base64(keys.publicKey),
        challenge: base64(challenge),
        signature: base64(nacl.sign.detached(challenge, keys.secretKey)),
      });
      const { status, text, json } = await ask(
        "POST",
        "/v1/auth",
        "Content-Type: application/json\r\n",
        body,
      );
      if (status !== 200) throw new Error(`sign-in answered ${status} ${text}`);
      return json.token;
    },
    [Symbol.asyncDispose]: async () => {
      await opened.stop();
      await blobs.stop();
      for (const database of databases.values()) await database.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
