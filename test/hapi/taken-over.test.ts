// A day of the released hub, a day of Roost on the same home, and a day of the released hub again: each shows what was there before, to the
// byte, and goes on with it. Messages, schedules, pins, notes with files, push subscriptions, phones, the work graph.
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout } from "bun:test";
import { createECDH } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installedHapi } from "../clients/hapi-release.ts";
import { DeskCli } from "../support/hapi-desk.ts";
import { type Asked, asking, hubOn } from "../support/hapi-hub-on.ts";
import { needs } from "../support/needs.ts";
import { type TestServer, testServer } from "../support/server.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(240_000);

const released = needs.installed("the released hapi 0.30.7", installedHapi());
const LATER = Date.now() + 86_400_000;
const PLACE = { path: "/home/u/demo", host: "devbox", flavor: "claude" };

const ecdh = createECDH("prime256v1");
/** As a browser makes them. */
const BROWSER = {
  p256dh: ecdh.generateKeys().toString("base64url"),
  auth: Buffer.alloc(16, 7).toString("base64url"),
};

type Json = Record<string, unknown>;
const of = <T>(answer: { status: number; body: unknown; text: string }): T => {
  if (answer.status >= 300) throw new Error(`${answer.status} ${answer.text}`);
  return answer.body as T;
};

/** What one day does, whoever serves it; every name carries the day's. */
async function aDay(hub: Asked, day: string, before?: { readonly event: string; readonly owner: number }) {
  const opened = await hub.ask("POST", "/cli/sessions", {
    tag: day,
    metadata: PLACE,
    agentState: { requests: {}, controlledByUser: false },
  });
  const { id } = of<{ session: { id: string } }>(opened).session;
  await hub.ask("POST", "/cli/machines", {
    id: `machine-${day}`,
    metadata: { host: "devbox", platform: "linux", happyCliVersion: "0.30.7" },
    runnerState: { status: "running" },
  });
  const cli = await DeskCli.open(hub.url, hub.token, "session", id, {});
  try {
    cli.alive();
    const session = async () =>
      of<{ session: { active: boolean } }>(await hub.ask("GET", `/api/sessions/${id}`));
    await until("the session to be at work", async () => (await session()).session.active);
    const messages = `/api/sessions/${id}/messages`;
    of(await hub.ask("POST", messages, { text: `now of ${day}`, localId: `now-${day}` }));
    cli.emit("messages-consumed", { sid: id, localIds: [`now-${day}`] });
    cli.emit("message", {
      sid: id,
      message: { role: "agent", content: { type: "output", data: `answer of ${day} `.repeat(400) } },
    });
    await cli.flush();
    of(
      await hub.ask("POST", messages, {
        text: `later of ${day}`,
        localId: `later-${day}`,
        scheduledAt: LATER,
      }),
    );
  } finally {
    cli.socket.close();
  }
  of(await hub.ask("PUT", `/api/sessions/${id}/pin`, { mode: before === undefined ? "global" : "project" }));
  of(await hub.ask("PATCH", `/api/sessions/${id}`, { name: `named on ${day}` }));
  const notes = `/api/sessions/${id}/scratchlist`;
  const uploaded = of<{ attachment: Json }>(
    await hub.ask("POST", `${notes}/upload`, {
      filename: `page of ${day}.txt`,
      content: Buffer.from(`file of ${day}`).toString("base64"),
      mimeType: "text/plain",
    }),
  );
  of(
    await hub.ask("POST", notes, {
      text: `note of ${day}`,
      entryId: day,
      attachments: [uploaded.attachment],
    }),
  );
  of(
    await hub.ask("POST", "/api/push/subscribe", {
      endpoint: `https://push.example/${day}`,
      keys: BROWSER,
    }),
  );
  of(
    await hub.ask("POST", "/api/devices/register", {
      token: `token-${day}`,
      platform: "phone",
      deviceId: day,
    }),
  );
  const owner = before?.owner ?? (await ownerOf(hub));
  const { event } = of<{ event: { id: string } }>(
    await hub.ask("POST", "/api/work-graph/events", {
      source_kind: "agent",
      source_ref: day,
      event_type: "done",
      summary: `work of ${day}`,
      payload_json: { day },
      related_session_id: id,
      principal: { kind: "human", id: String(owner) },
    }),
  );
  if (before !== undefined)
    of(
      await hub.ask("POST", "/api/work-graph/event-links", {
        from_event_id: before.event,
        to_event_id: event.id,
        relation_type: "follows",
      }),
    );
  return { id, event: event.id, owner };
}

async function ownerOf({ url, token }: Asked): Promise<number> {
  const login = await fetch(`${url}/api/auth`, {
    method: "POST",
    body: JSON.stringify({ accessToken: token }),
  });
  return ((await login.json()) as { user: { id: number } }).user.id;
}

/** What a web client is shown of everything, but for who is at work now. */
async function shown(hub: Asked, events: readonly string[]) {
  const { sessions } = of<{ sessions: Json[] }>(await hub.ask("GET", "/api/sessions"));
  const each = await Promise.all(
    sessions.map(async ({ id }) => {
      const { session } = of<{ session: Json }>(await hub.ask("GET", `/api/sessions/${id}`));
      const page = of<{ messages: Json[] }>(await hub.ask("GET", `/api/sessions/${id}/messages?limit=200`));
      const { entries } = of<{ entries: { attachments: { id: string }[] }[] }>(
        await hub.ask("GET", `/api/sessions/${id}/scratchlist`),
      );
      const files = await Promise.all(
        entries
          .flatMap(({ attachments }) => attachments)
          .map(
            async (file) =>
              (await hub.ask("GET", `/api/sessions/${id}/scratchlist/attachments/${file.id}`)).text,
          ),
      );
      const work = await hub.ask("GET", `/api/work-graph/events?related_session_id=${id}`);
      return {
        id,
        session: some(session, ["metadata", "agentState", "pinned", "globalPinned", "metadataVersion"]),
        messages: page.messages.map((one) =>
          some(one, ["seq", "localId", "content", "createdAt", "invokedAt", "scheduledAt"]),
        ),
        entries,
        files,
        work: of<{ events: unknown[] }>(work).events,
      };
    }),
  );
  const links = await Promise.all(
    events.map(
      async (id) =>
        of<{ links: unknown[] }>(await hub.ask("GET", `/api/work-graph/events/${id}/links`)).links,
    ),
  );
  return {
    sessions: sessions
      .map((one) =>
        some(one, ["id", "pinned", "globalPinned", "hasConversationContent", "futureScheduledMessageCount"]),
      )
      .sort(byId),
    each: each.sort(byId),
    links,
    vapid: of(await hub.ask("GET", "/api/push/vapid-public-key")),
    owner: await ownerOf(hub),
  };
}

const some = (from: Json, names: readonly string[]): Json =>
  Object.fromEntries(names.map((name) => [name, from[name] ?? null]));
const byId = (one: { id?: unknown }, other: { id?: unknown }) => (String(one.id) < String(other.id) ? -1 : 1);

/** What no page shows: who is told, by which keys; as it is at rest. */
function told(home: string) {
  using sqlite = new Database(join(home, "hapi.db"), { readwrite: true });
  return {
    version: sqlite.query("PRAGMA user_version").get(),
    subscriptions: sqlite
      .query("SELECT namespace, endpoint, p256dh, auth FROM push_subscriptions ORDER BY id")
      .all(),
    devices: sqlite.query("SELECT namespace, token, platform, device_id FROM fcm_devices ORDER BY id").all(),
    machines: sqlite.query("SELECT id, namespace, metadata_version FROM machines ORDER BY id").all(),
  };
}

released.test("the released hub, Roost and the released hub again, a day each on one home", async () => {
  const place = mkdtempSync(join(tmpdir(), "roost-hapi-taken-over-"));
  const home = join(place, ".hapi");
  const dataDir = join(place, "data");
  const roost = async (): Promise<{ readonly server: TestServer; readonly hub: Asked }> => {
    const settings = { dataDir, hapiHome: home, hapiPort: "none" };
    const server = await testServer(settings as never);
    const { cliApiToken } = JSON.parse(readFileSync(join(home, "settings.json"), "utf8"));
    return { server, hub: await asking(server.url, cliApiToken) };
  };
  try {
    const first = await hubOn(home);
    let monday: Awaited<ReturnType<typeof aDay>>;
    let theirs: Awaited<ReturnType<typeof shown>>;
    try {
      monday = await aDay(first, "monday");
      theirs = await shown(first, [monday.event]);
    } finally {
      await first.stop();
    }
    const atRest = told(home);
    expect(atRest.subscriptions).toHaveLength(1);
    expect(theirs.each[0]?.files).toEqual(["file of monday"]);
    expect(theirs.each[0]?.messages.length).toBeGreaterThanOrEqual(3);

    const second = await roost();
    let ours: Awaited<ReturnType<typeof shown>>;
    let tuesday: Awaited<ReturnType<typeof aDay>>;
    try {
      expect(second.hub.token).toBe(first.token);
      expect(await shown(second.hub, [monday.event])).toEqual(theirs);
      tuesday = await aDay(second.hub, "tuesday", monday);
      // And something of the day before is changed.
      const notes = `/api/sessions/${monday.id}/scratchlist`;
      of(await second.hub.ask("PUT", `${notes}/monday`, { text: "changed on tuesday" }));
      of(await second.hub.ask("DELETE", `/api/sessions/${monday.id}/messages/later-monday`));
      ours = await shown(second.hub, [monday.event, tuesday.event]);
    } finally {
      await second.server.stop();
    }
    expect(existsSync(join(home, "hapi.db-wal"))).toBe(false);
    // What the other hub has made keeps its mode, behind a folder that only its owner may enter.
    expect(statSync(home).mode & 0o077).toBe(0);
    for (const name of readdirSync(home, { recursive: true, encoding: "utf8" }))
      if (/of_tuesday|\.json$|hapi\.db$/.test(name) && statSync(join(home, name)).isFile())
        expect([name, statSync(join(home, name)).mode & 0o077]).toEqual([name, 0]);
    expect(told(home)).toMatchObject({
      version: atRest.version as object,
      subscriptions: [...atRest.subscriptions, { endpoint: "https://push.example/tuesday" }] as object[],
      devices: [...atRest.devices, { token: "token-tuesday" }] as object[],
    });

    const third = await hubOn(home);
    let wednesday: Awaited<ReturnType<typeof aDay>>;
    let again: Awaited<ReturnType<typeof shown>>;
    try {
      expect(third.token).toBe(first.token);
      expect(await shown(third, [monday.event, tuesday.event])).toEqual(ours);
      wednesday = await aDay(third, "wednesday", tuesday);
      again = await shown(third, [tuesday.event, wednesday.event]);
    } finally {
      await third.stop();
    }

    const fourth = await roost();
    try {
      // What the other hub has stored meanwhile is counted in the background.
      await until("everything to be counted", async () => {
        const { sessions } = await shown(fourth.hub, []);
        return sessions.every(({ hasConversationContent }) => hasConversationContent === true);
      });
      expect(await shown(fourth.hub, [tuesday.event, wednesday.event])).toEqual(again);
      expect(again.each).toHaveLength(3);
    } finally {
      await fourth.server.stop();
    }
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
});
