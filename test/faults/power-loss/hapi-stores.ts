// What HAPI acknowledges, one row each, for the tests of power loss: in stores.ts with all others.
import { randomBytes } from "node:crypto";
import type { EventStream } from "../../hapi/event-stream.ts";
import type { Json } from "../../hapi/placeholders.ts";
import type { ScriptedClient } from "../../hapi/scripted-client.ts";
import { type Answer, agentSays, asked, HAPI_ENV, HapiUser, PLACE, RUNNER } from "../hapi-process.ts";
import type { ServerProcess } from "../server-process.ts";
import type { Store } from "./stores.ts";

export const HAPI_STORE_ENV = HAPI_ENV;
const DATABASE = "hapi/hapi.db";

/** A person and their CLI. */
export interface HapiWorld {
  readonly user: HapiUser;
  readonly session: string;
  readonly agent: ScriptedClient;
  /** Hears what is announced. */
  readonly events: EventStream;
  close(): void;
}

export async function openHapiWorld(
  { url }: Pick<ServerProcess, "url">,
  dataDir: string,
  known?: HapiWorld,
): Promise<HapiWorld> {
  // Logins and the access token must go on as well.
  const user = known === undefined ? await HapiUser.of({ url }, dataDir) : known.user.at(url);
  const session = known?.session ?? (await user.session());
  const agent = await user.agent(session);
  const { stream: events } = await user.events();
  return {
    user,
    session,
    agent,
    events,
    close: () => {
      agent.close();
      events.close();
    },
  };
}

export const HAPI_STORES: readonly Store[] = [
  {
    name: "hapi messages of the web",
    put: async ({ hapi: { user, session } }, mark) => done(await user.send(session, `c ${mark}`, mark)),
    kept: { database: DATABASE, sql: "SELECT content FROM messages" },
    read: ({ hapi: { user, session } }) => user.history(session),
    peek: ({ hapi: { user, session } }) => user.ask("GET", `/api/sessions/${session}/messages?limit=2`),
  },
  {
    name: "hapi messages of a CLI",
    put: async ({ hapi: { session, agent } }, mark) => {
      const message = { sid: session, message: agentSays(`c ${mark}`), localId: mark };
      await asked(agent, "message", message);
    },
    kept: { database: DATABASE, sql: "SELECT content FROM messages" },
    read: ({ hapi: { user, session } }) => user.after(session, 0),
  },
  {
    name: "hapi messages that make the log begin anew",
    put: async ({ hapi: { user, session } }, mark) =>
      done(await user.send(session, randomBytes(60_000).toString("base64"), mark)),
    kept: { database: DATABASE, sql: "SELECT local_id FROM messages" },
  },
  {
    name: "hapi sessions",
    put: async ({ hapi: { user } }, mark) => {
      await user.session(mark);
    },
    kept: { database: DATABASE, sql: "SELECT tag FROM sessions" },
    peek: ({ hapi: { user } }) => user.ask("GET", "/api/sessions"),
  },
  {
    name: "hapi metadata of sessions",
    put: async (world, mark) => {
      const sid = await world.hapi.user.session();
      successful(await change(world, "update-metadata", { sid, metadata: { ...PLACE, name: mark } }));
    },
    kept: { database: DATABASE, sql: "SELECT metadata FROM sessions" },
  },
  {
    name: "hapi names of sessions",
    put: async ({ hapi: { user } }, mark) => {
      done(await user.ask("PATCH", `/api/sessions/${await user.session()}`, { name: mark }));
    },
    kept: { database: DATABASE, sql: "SELECT metadata FROM sessions" },
  },
  {
    name: "hapi state of agents",
    put: async (world, mark) => {
      const sid = await world.hapi.user.session();
      successful(await change(world, "update-state", { sid, agentState: { mark } }));
    },
    kept: { database: DATABASE, sql: "SELECT agent_state FROM sessions" },
  },
  {
    name: "hapi machines",
    put: async ({ hapi: { user } }, mark) => {
      await user.machine(mark);
    },
    kept: { database: DATABASE, sql: "SELECT id FROM machines" },
    read: async ({ hapi: { user } }, mark) => (await user.ask("GET", `/cli/machines/${mark}`)).body,
  },
  {
    name: "hapi metadata of machines",
    put: async (world, mark) => {
      const machineId = await world.hapi.user.machine(crypto.randomUUID());
      const metadata = { ...RUNNER, displayName: mark };
      successful(await change(world, "machine-update-metadata", { machineId, metadata }));
    },
    kept: { database: DATABASE, sql: "SELECT metadata FROM machines" },
  },
  {
    name: "hapi state of runners",
    put: async (world, mark) => {
      const machineId = await world.hapi.user.machine(crypto.randomUUID());
      const runnerState = { status: "running", mark };
      successful(await change(world, "machine-update-state", { machineId, runnerState }));
    },
    kept: { database: DATABASE, sql: "SELECT runner_state FROM machines" },
  },
  {
    name: "hapi notes",
    put: async ({ hapi: { user, session } }, mark) =>
      done(await user.ask("POST", `/api/sessions/${session}/scratchlist`, { text: mark }), 201),
    kept: { database: DATABASE, sql: "SELECT text FROM session_scratchlist" },
    read: async ({ hapi: { user, session } }) =>
      (await user.ask("GET", `/api/sessions/${session}/scratchlist`)).body,
  },
  {
    name: "hapi files of notes",
    put: async ({ hapi: { user, session } }, mark) => {
      const content = Buffer.from(`b ${mark} `.repeat(40)).toString("base64");
      const wish = { filename: `${mark}.txt`, mimeType: "text/plain", content };
      done(await user.ask("POST", `/api/sessions/${session}/scratchlist/upload`, wish));
    },
    onWire: (mark) => `${mark}.txt`,
    onDisk: (mark) => `b ${mark} `,
    kept: "files",
  },
  {
    name: "hapi events of work",
    put: async ({ hapi: { user } }, mark) => {
      const [, claims = ""] = user.jwt.split(".");
      const { uid } = JSON.parse(Buffer.from(claims, "base64url").toString());
      const principal = { kind: "human", id: `${uid}` };
      const event = { source_kind: "test", source_ref: mark, event_type: "test", principal };
      done(await user.ask("POST", "/api/work-graph/events", event), 201);
    },
    kept: { database: DATABASE, sql: "SELECT source_ref FROM events" },
  },
];

const change = async ({ hapi: { agent } }: { hapi: HapiWorld }, event: string, wish: Json): Promise<Json[]> =>
  asked(agent, event, { ...(wish as object), expectedVersion: 1 });

function successful(answer: Json[]): void {
  if ((answer[0] as { result?: string }).result !== "success") throw new Error(JSON.stringify(answer));
}

function done({ status, body }: Answer, expected = 200): void {
  if (status !== expected) throw new Error(`answered ${status} ${JSON.stringify(body)}`);
}
