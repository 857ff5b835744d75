// A home that an older hub left: what later hubs derive from messages is found again by a whole server after its start, and told.
import { Database } from "bun:sqlite";
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { testServer } from "../support/server.ts";
import { until } from "../support/until.ts";
import { logIn } from "./hub-under-test.ts";

setDefaultTimeout(60_000);

test("todos that only the messages carry", async () => {
  const token = "an-older-home-0123456789";
  const server = await testServer({ hapiAccessToken: token });
  try {
    const id = crypto.randomUUID();
    await server.restart(async () => {
      const db = new Database(join(server.dataDir, "hapi", "hapi.db"));
      db.run("INSERT INTO sessions (id, tag, created_at, updated_at, metadata) VALUES (?, 't', 1, 1, ?)", [
        id,
        JSON.stringify({ path: "/w", host: "h" }),
      ]);
      const input = { todos: [{ content: "left", status: "pending" }] };
      const content = {
        role: "agent",
        content: { type: "codex", data: { type: "tool-call", name: "TodoWrite", input } },
      };
      db.run(
        "INSERT INTO messages (id, session_id, content, created_at, seq, invoked_at) VALUES ('m', ?, ?, 5, 1, 5)",
        [id, JSON.stringify(content)],
      );
      db.close();
    });
    const jwt = await logIn({ url: server.url, token });
    const session = async () => {
      const answer = await fetch(`${server.url}/api/sessions/${id}`, {
        headers: { authorization: `Bearer ${jwt}` },
      });
      return ((await answer.json()) as { session: { todos?: unknown; todosUpdatedAt: number } }).session;
    };
    await until("the todos to be found", async () => (await session()).todos !== undefined);
    expect(await session()).toMatchObject({
      todos: [{ content: "left", status: "pending", priority: "medium", id: "" }],
      todosUpdatedAt: 5,
    });
  } finally {
    await server.stop();
  }
});
