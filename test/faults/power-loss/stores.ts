// Everything that acknowledges a write, one row each: how to write one thing with a unique mark in it, and how to find it again. A new
// store gets a row here, and with it both tests of power loss.
import nacl from "tweetnacl";
import { type Account, accountWith, type Listener, newAccount } from "../../support/happy-client.ts";
import { login, site, TOPICS_SECRET, type TopicsUser } from "../../support/topics-client.ts";
import type { ServerProcess } from "../server-process.ts";
import { HAPI_STORE_ENV, HAPI_STORES, type HapiWorld, openHapiWorld } from "./hapi-stores.ts";
import { RPC_STORE_ENV, RPC_STORES } from "./rpc-stores.ts";

/** A running server with somebody in it. */
export interface World {
  readonly url: string;
  readonly account: Account;
  /** Hears what is announced to the account. */
  readonly phone: Listener;
  /** Sends; what it sends is not echoed to it. */
  readonly cli: Listener;
  readonly admin: TopicsUser;
  readonly session: string;
  readonly machine: string;
  readonly hapi: HapiWorld;
  close(): void;
}

export interface Store {
  readonly name: string;
  /** Resolves when the server has acknowledged or announced it. */
  readonly put: (world: World, mark: string) => Promise<void>;
  /** As the mark stands on sockets; the mark itself when it is left out. */
  readonly onWire?: (mark: string) => string;
  /** As the mark stands in a file; undefined where it cannot be seen there because it is sealed. */
  readonly onDisk?: (mark: string) => string | undefined;
  /** Where it must be found again: a query for texts that hold marks, or the files. */
  readonly kept: { readonly database: (typeof DATABASES)[number]; readonly sql: string } | "files";
  /** The same, as a client asks a server. */
  readonly read?: (world: World, mark: string) => Promise<unknown>;
  /** What another client asks meanwhile, again and again: an answer that shows the newest. */
  readonly peek?: (world: World) => Promise<unknown>;
}

/** In the data folder. */
export const DATABASES = ["happy.db", "topics.db", "hapi/hapi.db", "rpc.db"] as const;
/** Where blobs are. */
export const BLOB_FOLDERS = ["files", "hapi/scratchlist-attachments"] as const;

/** What the server needs for all rows. */
export const STORE_ENV = {
  ...HAPI_STORE_ENV,
  ...RPC_STORE_ENV,
  ROOST_TOPICS_ENABLED: "true",
  JWT_SECRET: TOPICS_SECRET,
  ADMIN_USERNAME: "admin",
  ADMIN_PASSWORD: "admin123",
  ROOST_TOPICS: JSON.stringify([{ name: "nodes", schema: true, autoJoin: true }]),
};

/** Letters and digits only, and of a length that base64 writes without padding. */
export const markOf = (store: number, index: number): string =>
  `mark${store.toString().padStart(4, "0")}x${index.toString().padStart(6, "0")}`;

export async function openWorld(
  { url }: Pick<ServerProcess, "url">,
  dataDir: string,
  known?: World,
): Promise<World> {
  const account =
    known?.account === undefined ? await newAccount(url) : accountWith(url, known.account.token);
  const [phone, cli] = [await account.connect(), await account.connect()];
  const hapi = await openHapiWorld({ url }, dataDir, known?.hapi);
  return {
    url,
    account,
    phone,
    cli,
    admin: await login(url),
    session: known?.session ?? (await sessionOf(account, crypto.randomUUID())),
    machine: known?.machine ?? (await machineOf(account, crypto.randomUUID())),
    hapi,
    close: () => {
      phone.close();
      cli.close();
      hapi.close();
    },
  };
}

export const STORES: readonly Store[] = [
  {
    name: "messages over HTTP",
    put: async ({ account, session }, mark) =>
      done(await account.call("POST", `/v3/sessions/${session}/messages`, message(mark))),
    kept: { database: "happy.db", sql: "SELECT content FROM messages" },
    read: ({ account, session }) => messagesOf(account, session),
    peek: ({ account, session }) =>
      account.call("GET", `/v3/sessions/${session}/messages?before_seq=2147483647&limit=2`),
  },
  {
    name: "messages over a socket",
    put: async ({ cli, phone, session }, mark) => {
      cli.socket.emit("message", { sid: session, message: `c ${mark}`, localId: mark });
      await phone.until(({ event, body }) => event === "update" && body.body.message?.localId === mark);
    },
    kept: { database: "happy.db", sql: "SELECT content FROM messages" },
    read: ({ account, session }) => messagesOf(account, session),
  },
  {
    name: "long messages, which make the log begin anew",
    put: async ({ account, session }, mark) =>
      done(await account.call("POST", `/v3/sessions/${session}/messages`, message(mark, 300_000))),
    kept: { database: "happy.db", sql: "SELECT substr(content, 1, 1000) FROM messages" },
  },
  {
    name: "key-value entries",
    put: async ({ account }, mark) => {
      const mutations = [{ key: mark, value: `v ${mark}`, version: -1 }];
      done(await account.call("POST", "/v1/kv", { mutations }));
    },
    kept: { database: "happy.db", sql: "SELECT key FROM kv_entries" },
    read: async ({ account }, mark) => (await account.call("GET", `/v1/kv/${mark}`)).body,
    peek: ({ account }) => account.call("GET", "/v1/kv?limit=500"),
  },
  {
    name: "attachments",
    put: async ({ account, session, url }, mark) => {
      const wish = { filename: mark, size: 100 };
      const path = `/v1/sessions/${session}/attachments/request-upload`;
      done(await account.call("POST", path, wish));
      const answer = await fetch(`${url}/v1/sessions/${session}/attachments/${mark}.enc`, {
        method: "PUT",
        headers: { authorization: `Bearer ${account.token}`, "content-type": "application/octet-stream" },
        body: `b ${mark}`.repeat(40),
      });
      done({ status: answer.status, body: await answer.json() });
    },
    onWire: (mark) => `${mark}.enc`,
    onDisk: (mark) => `b ${mark}`,
    kept: "files",
    read: async ({ account, session }, mark) =>
      (await account.call("GET", `/v1/sessions/${session}/attachments/${mark}.enc`)).body,
  },
  {
    name: "sessions",
    put: async ({ account }, mark) => {
      await sessionOf(account, mark);
    },
    kept: { database: "happy.db", sql: "SELECT tag FROM sessions" },
    peek: ({ account }) => account.call("GET", "/v1/sessions"),
  },
  {
    name: "metadata of sessions",
    put: async ({ account, cli }, mark) => {
      const sid = await sessionOf(account, crypto.randomUUID());
      successful(await cli.ask("update-metadata", { sid, metadata: mark, expectedVersion: 0 }));
    },
    kept: { database: "happy.db", sql: "SELECT metadata FROM sessions" },
  },
  {
    name: "state of agents",
    put: async ({ account, cli }, mark) => {
      const sid = await sessionOf(account, crypto.randomUUID());
      successful(await cli.ask("update-state", { sid, agentState: mark, expectedVersion: 0 }));
    },
    kept: { database: "happy.db", sql: "SELECT agent_state FROM sessions" },
  },
  {
    name: "machines",
    put: async ({ account }, mark) => {
      await machineOf(account, mark);
    },
    kept: { database: "happy.db", sql: "SELECT id FROM machines" },
    peek: ({ account }) => account.call("GET", "/v1/machines"),
  },
  {
    name: "metadata of machines",
    put: async ({ account, cli }, mark) => {
      const machineId = await machineOf(account, crypto.randomUUID());
      const change = { machineId, metadata: mark, expectedVersion: 1 };
      successful(await cli.ask("machine-update-metadata", change));
    },
    kept: { database: "happy.db", sql: "SELECT metadata FROM machines" },
  },
  {
    name: "state of daemons",
    put: async ({ account, cli }, mark) => {
      const machineId = await machineOf(account, crypto.randomUUID());
      successful(await cli.ask("machine-update-state", { machineId, daemonState: mark, expectedVersion: 0 }));
    },
    kept: { database: "happy.db", sql: "SELECT daemon_state FROM machines" },
  },
  {
    name: "artifacts",
    put: async ({ account }, mark) => {
      await artifactOf(account, base64(mark));
    },
    onWire: base64,
    kept: { database: "happy.db", sql: "SELECT CAST(header AS TEXT) FROM artifacts" },
  },
  {
    name: "parts of artifacts",
    put: async ({ account, cli }, mark) => {
      const artifactId = await artifactOf(account, base64("header"));
      const body = { data: base64(mark), expectedVersion: 1 };
      successful(await cli.ask("artifact-update", { artifactId, body }));
    },
    onWire: base64,
    kept: { database: "happy.db", sql: "SELECT CAST(body AS TEXT) FROM artifacts" },
  },
  {
    name: "access keys",
    put: async ({ account, machine }, mark) => {
      const session = await sessionOf(account, crypto.randomUUID());
      done(await account.call("POST", `/v1/access-keys/${session}/${machine}`, { data: mark }));
    },
    kept: { database: "happy.db", sql: "SELECT data FROM access_keys" },
  },
  {
    name: "push tokens",
    put: async ({ account }, mark) =>
      done(await account.call("POST", "/v1/push-tokens", { token: `ExponentPushToken[${mark}]` })),
    kept: { database: "happy.db", sql: "SELECT token FROM push_tokens" },
  },
  {
    name: "usage reports",
    put: async ({ account, cli }, mark) => {
      // Only a report of a session is announced, and only the announcement names its key.
      const sessionId = await sessionOf(account, crypto.randomUUID());
      const report = { key: mark, sessionId, tokens: { total: 1 }, cost: { total: 1 } };
      if ((await cli.ask("usage-report", report)).success !== true) throw new Error("not stored");
    },
    kept: { database: "happy.db", sql: "SELECT key FROM usage_reports" },
  },
  {
    name: "settings of accounts",
    put: async ({ url }, mark) => {
      const other = await newAccount(url);
      done(await other.call("POST", "/v1/account/settings", { settings: mark, expectedVersion: 0 }));
    },
    kept: { database: "happy.db", sql: "SELECT settings FROM accounts" },
  },
  {
    name: "tokens of vendors",
    put: async ({ url }, mark) => {
      const other = await newAccount(url);
      done(await other.call("POST", "/v1/connect/openai/register", { token: mark }));
    },
    // Sealed at rest, each with its own account: as many as were acknowledged must be there.
    onDisk: () => undefined,
    kept: { database: "happy.db", sql: "SELECT vendor FROM service_account_tokens" },
  },
  {
    name: "pairing",
    put: async ({ account, url }, mark) => {
      const publicKey = base64(boxKeyOf(mark));
      const headers = { "content-type": "application/json" };
      const body = JSON.stringify({ publicKey });
      const asked = await fetch(`${url}/v1/auth/request`, { method: "POST", headers, body });
      done({ status: asked.status, body: await asked.json() });
      done(await account.call("POST", "/v1/auth/response", { publicKey, response: mark }));
    },
    kept: { database: "happy.db", sql: "SELECT response FROM terminal_auth_requests" },
  },
  {
    name: "websites",
    put: async ({ admin }, mark) => {
      const answer = await admin.post("/websites/create", site(`${mark}.example.org`));
      if (answer.body.code !== 0) throw new Error(JSON.stringify(answer.body));
    },
    kept: { database: "topics.db", sql: "SELECT domain FROM website_domains" },
    read: async ({ admin }) => (await admin.get("/websites?pageSize=100")).body,
    peek: ({ admin }) => admin.get("/websites?pageSize=2"),
  },
  {
    name: "events of topics",
    put: async ({ admin }, mark) => {
      const answer = await admin.post("/topics/nodes/create", { document: { name: mark } });
      if (answer.body.code !== 0) throw new Error(JSON.stringify(answer.body));
    },
    kept: { database: "topics.db", sql: "SELECT payload FROM ws_events" },
  },
  ...HAPI_STORES,
  ...RPC_STORES,
];

function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** 32 bytes that hold the mark. */
const boxKeyOf = (mark: string) => mark.padEnd(nacl.box.publicKeyLength, "=");

const message = (mark: string, bytes = 60) => ({
  messages: [{ content: `c ${mark} `.padEnd(bytes, "x"), localId: mark }],
});

async function messagesOf(account: Account, session: string): Promise<unknown> {
  const pages: unknown[] = [];
  for (let after = 0; ; ) {
    const path = `/v3/sessions/${session}/messages?after_seq=${after}&limit=100`;
    const { body } = await account.call("GET", path);
    pages.push(body);
    after = body.messages.at(-1)?.seq ?? after;
    if (!body.hasMore) return pages;
  }
}

async function sessionOf(account: Account, tag: string): Promise<string> {
  const draft = { tag, metadata: "m", agentState: null, dataEncryptionKey: null };
  return done(await account.call("POST", "/v1/sessions", draft)).session.id;
}

async function machineOf(account: Account, id: string): Promise<string> {
  done(await account.call("POST", "/v1/machines", { id, metadata: "m" }));
  return id;
}

async function artifactOf(account: Account, header: string): Promise<string> {
  const id = crypto.randomUUID();
  const draft = { id, header, body: base64("body"), dataEncryptionKey: base64("key") };
  done(await account.call("POST", "/v1/artifacts", draft));
  return id;
}

// biome-ignore lint/suspicious/noExplicitAny: what comes from the wire is looked at field by field
function done({ status, body }: { status: number; body: any }): any {
  if (status !== 200) throw new Error(`answered ${status} ${JSON.stringify(body)}`);
  return body;
}

function successful(answer: { result?: string }): void {
  if (answer.result !== "success") throw new Error(JSON.stringify(answer));
}
