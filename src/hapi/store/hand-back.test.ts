// The released hub opens what this store wrote and shows the same; this store opens what the released hub wrote, counts it, and goes on.
import { Database as Sqlite } from "bun:sqlite";
import { afterEach, expect } from "bun:test";
import { releasedHub, startReleasedHub } from "../../../test/support/hapi-release.ts";
import { granted, openHapiDatabase, openTestHapiStore } from "../../../test/support/hapi-store.ts";
import { hapiStore } from "./index.ts";
import type { MessageRow } from "./rows.ts";

const undo: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

const user = (text: string) => ({ role: "user", content: { type: "text", text } });
const long = "a long text that shrinks ".repeat(400);

interface Listed {
  sessions: Record<string, unknown>[];
}
interface Paged {
  messages: { seq: number; localId: string | null; content: unknown; invokedAt: number | null }[];
  page: Record<string, unknown>;
}

releasedHub.test("the released hub opens what we wrote, shows the same, and goes on", async () => {
  const all = openTestHapiStore();
  undo.push(() => all.close());
  const { store } = all;
  const metadata = { path: "/p", host: "h", flavor: "claude", unknown: { kept: true } };
  const opened = await store.openSession({
    namespace: "default",
    tag: "t",
    metadata,
    agentState: { controlledByUser: true },
    model: "opus",
    machine: { id: "m", metadata: { host: "h", platform: "linux", happyCliVersion: "0.30.7" } },
  });
  if (!("row" in opened)) throw new Error(opened.kind);
  const key = { namespace: "default", id: opened.row.id };
  for (const content of [user("one"), user(long), { role: "agent", content: null }])
    await store.appendMessage({ session: key, content, localId: null });
  await store.appendMessage({ session: key, content: user("waits"), localId: "w" });
  await store.appendMessage({ session: key, content: user("gone"), localId: "gone" });
  await store.cancelMessage(key, "gone");
  await store.setSessionColumns(key, { globalPinned: true, todos: { value: [todo], at: Date.now() } });
  await store.addScratch(key, { text: "note", attachments: [] }, 9);
  await store.putSubscription({ namespace: "default", endpoint: "https://push", p256dh: "p", auth: "a" }, 9);
  const presence = { ...PRESENT, active: true, activeAt: Date.now() };
  await store.storePresence({ sessions: [{ id: key.id, presence }] });
  const mine = granted(await store.pageMessages(key, { direction: "latest", limit: 50 }));
  await all.rest();

  const hub = await startReleasedHub(all.path);
  undo.push(() => hub.remove());
  const { sessions } = (await hub.ask("GET", "/api/sessions")) as Listed;
  expect(sessions).toMatchObject([
    {
      id: key.id,
      hasConversationContent: true,
      globalPinned: true,
      metadataVersion: 1,
      model: "opus",
      todoProgress: { completed: 0, total: 1 },
    },
  ]);
  const theirs = (await hub.ask("GET", `/api/sessions/${key.id}/messages`)) as Paged;
  expect(theirs.page).toEqual(mine.page);
  const rows = (await Array.fromAsync<MessageRow>(mine.messages.rows)).map((row) => [
    row.seq,
    row.localId,
    row.content.value,
  ]);
  expect(theirs.messages.map(({ seq, localId, content }) => [seq, localId, content])).toEqual(rows);
  expect(await hub.ask("GET", `/api/sessions/${key.id}/scratchlist`)).toMatchObject({
    entries: [{ text: "note" }],
  });
  expect(await hub.ask("GET", "/cli/machines/m")).toMatchObject({ machine: { id: "m", metadataVersion: 1 } });
  await hub.ask("PATCH", `/api/sessions/${key.id}`, { name: "renamed there" });
  await hub.ask("POST", "/cli/sessions", { tag: "second", metadata });
  await hub.ask("DELETE", `/api/sessions/${key.id}/messages/w`);
  await hub.stop();

  // And back again: what it changed meanwhile is seen, what it added is counted.
  const again = openHapiDatabase(hub.path);
  undo.push(() => again.close());
  const back = hapiStore(again);
  await back.catchUp();
  expect(await back.findSession(key)).toMatchObject({
    metadata: { path: "/p", host: "h", name: "renamed there" },
    metadataVersion: 2,
    presence: { active: true },
    hasConversationContent: true,
  });
  const counted = again.reads.$client.query(
    "SELECT messages, last_seq FROM roost_sessions WHERE session_id = ?",
  );
  expect(counted.get(key.id)).toEqual({ messages: 3, last_seq: 5 });
  expect((await back.listSessions("default")).length).toBe(2);
  const more = granted(await back.appendMessage({ session: key, content: 1, localId: null }));
  expect(more.message.seq).toBe(6);
});

releasedHub.test("we open what the released hub wrote, as it shows it", async () => {
  const hub = await startReleasedHub();
  undo.push(() => hub.remove());
  const { session } = (await hub.ask("POST", "/cli/sessions", {
    tag: "t",
    metadata: { path: "/p", host: "h" },
    agentState: null,
  })) as { session: { id: string } };
  const { id } = session;
  await hub.ask("POST", `/api/sessions/${id}/scratchlist`, { text: "n" });
  await hub.ask("PUT", `/api/sessions/${id}/pin`, { mode: "project" });
  await hub.stop();
  // Messages as it compresses them: without a CLI it takes none.
  {
    using sqlite = new Sqlite(hub.path);
    const put = sqlite.query(
      "INSERT INTO messages (id, session_id, content, created_at, seq, local_id, invoked_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    put.run("m1", id, Bun.zstdCompressSync(JSON.stringify(user(long))), 10, 1, null, 10);
    put.run("m2", id, JSON.stringify(user("short")), 20, 2, "l", null);
  }
  const theirs = await startReleasedHub(hub.path);
  undo.push(() => theirs.remove());
  const told = (await theirs.ask("GET", `/api/sessions/${id}/messages`)) as Paged;
  const listed = (await theirs.ask("GET", "/api/sessions")) as Listed;
  await theirs.stop();

  const database = openHapiDatabase(theirs.path);
  undo.push(() => database.close());
  const store = hapiStore(database);
  await store.catchUp();
  const key = { namespace: "default", id };
  const { messages, page } = granted(await store.pageMessages(key, { direction: "latest", limit: 50 }));
  expect(page).toEqual(told.page as typeof page);
  const rows = (await Array.fromAsync<MessageRow>(messages.rows)).map(({ content, ...row }) => [
    row.seq,
    content.value,
  ]);
  expect(rows).toEqual(told.messages.map(({ seq, content }) => [seq, content]));
  const [mine] = await store.listSessions("default");
  for (const name of [
    "hasConversationContent",
    "pinned",
    "updatedAt",
    "metadataVersion",
    "futureScheduledMessageCount",
  ])
    expect([name, mine?.[name as keyof typeof mine]]).toEqual([name, listed.sessions[0]?.[name]]);
  expect(granted(await store.listScratch(key)).entries).toMatchObject([{ text: "n" }]);
});

const todo = { content: "c", status: "pending", priority: "high", id: "1" };
const PRESENT = {
  active: true,
  activeAt: 5,
  thinking: true,
  thinkingAt: 5,
  activeTurnStartedAt: 5,
  backgroundTaskCount: 1,
  permissionMode: "plan",
  collaborationMode: null,
  copilotAgentMode: null,
};
