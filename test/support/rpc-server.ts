// A whole server with the RPC room, its fixtures and a document of the test's own, which may change while it runs.
import { createHmac, hash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "../../src/context.ts";
import { createLog } from "../../src/observability/log.ts";
import type { ProtocolManifest } from "../../src/protocol/manifest.ts";
import { protocols } from "../../src/protocols.ts";
import { type RpcDocument, rpcDocument } from "../../src/rpc/document/document.ts";
import { openRpc } from "../../src/rpc/index.ts";
import { rpc } from "../../src/rpc/protocol.ts";
import { type Config, parseConfig } from "./config.ts";

const removals: (() => void)[] = [];
const running: RunningServer[] = [];
/** For the end of a file of tests. */
export async function stopServers(): Promise<void> {
  for (const server of running.splice(0)) await server.stop();
  for (const remove of removals.splice(0)) remove();
}

// biome-ignore lint/suspicious/noExplicitAny: each test knows what it asked for.
export type Json = any;

export interface Served {
  readonly url: string;
  readonly base: string;
  readonly dataDir: string;
  /** Every line of the log, also of the lowest level. */
  readonly logged: readonly string[];
  /** The document that counts from the next request on. */
  change(document: Record<string, unknown>): void;
  call(
    method: string,
    data?: unknown,
    more?: Record<string, unknown>,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly body: Json;
  readonly headers: Headers;
}

/** What a server with the RPC room needs to start, in a folder of its own. `beside`: other protocols, all of them where absent. */
export function rpcHome(
  document: Record<string, unknown>,
  overrides: Partial<Config>,
  beside: readonly string[] = protocols.map(({ name }) => name),
) {
  const dataDir = mkdtempSync(join(tmpdir(), "roost-rpc-"));
  let current: RpcDocument = rpcDocument.parse(document);
  const withDocument: ProtocolManifest<Config> = { ...rpc, open: (house) => openRpc(house, () => current) };
  const config: Config = {
    ...parseConfig({}),
    port: 0,
    host: "127.0.0.1",
    masterSecret: "test-master-secret",
    logLevel: "fatal",
    rpcEnabled: true,
    rpcFixtures: true,
    ...overrides,
    dataDir,
  };
  return {
    config,
    protocols: (protocols as readonly ProtocolManifest<Config>[])
      .filter(({ name }) => name === "rpc" || beside.includes(name))
      .map((one) => (one.name === "rpc" ? withDocument : one)),
    change: (next: Record<string, unknown>) => {
      current = rpcDocument.parse(next);
    },
    remove: () => rmSync(dataDir, { recursive: true, force: true }),
  };
}

/** A server with these methods and this document on a free port. */
export async function served(
  document: Record<string, unknown> = {},
  overrides: Partial<Config> = {},
  beside: readonly string[] = [],
): Promise<Served> {
  const { config, protocols: all, change, remove } = rpcHome(document, overrides, beside);
  removals.push(remove);
  const logged: string[] = [];
  const server = await startServer(config, createLog("trace", { write: (line) => logged.push(line) }), all);
  running.push(server);
  const url = `http://127.0.0.1:${server.port}`;
  const base = `${url}/aduib_rpc`;
  const post: Served["post"] = async (path, body, headers = {}) => {
    const answer = await fetch(`${base}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  };
  return {
    url,
    base,
    dataDir: config.dataDir,
    logged,
    change,
    post,
    call: (method, data = null, more = {}, headers = {}) =>
      post("/v2/rpc", { aduib_rpc: "2.0", id: "i1", method: `rpc.v2/${method}`, data, ...more }, headers),
  };
}

export const KEY = "key-of-a-robot";
export const READER_KEY = "key-of-a-reader";
export const sha256 = (text: string) => hash("sha256", text, "hex");
export const SECRET = "a secret that is long enough for HS256";
export function token(claims: Record<string, unknown>): string {
  const base64 = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${base64({ alg: "HS256" })}.${base64({ exp: Math.floor(Date.now() / 1_000) + 60, ...claims })}`;
  return `${text}.${createHmac("sha256", SECRET).update(text).digest("base64url")}`;
}

/** Callers have to be proved, and roles are checked. */
export const SECURED = {
  security: {
    require_auth: true,
    rbac_enabled: true,
    jwt: { secret: SECRET },
    api_keys: [
      { sha256: sha256(KEY), principal: "robot", roles: ["admin"], scopes: ["docs.read"] },
      { sha256: sha256(READER_KEY), principal: "reader", roles: ["reader"] },
    ],
    roles: [
      { name: "reader", permissions: [{ resource: "docs", action: "read" }] },
      { name: "everything", permissions: [{ resource: "*", action: "*" }], denied_methods: ["*/Write"] },
    ],
  },
};
