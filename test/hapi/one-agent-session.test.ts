// Two sessions that name one agent session, over real sockets: the released hub and Roost make the same of them.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { needs } from "../support/needs.ts";
import type { StartHub } from "./hub-under-test.ts";
import { originalHub, startOriginalHub } from "./original-hub.ts";
import type { Json } from "./placeholders.ts";
import { startRoostHub } from "./roost-hub.ts";
import { Stage } from "./stage.ts";

setDefaultTimeout(60_000);
const original = needs.installed("the released hapi 0.30.7", originalHub());
const PLACE = { path: "/w", host: "h", flavor: "claude" };
type Members = { [key: string]: Json };

async function onStage(startHub: StartHub, scene: (acts: ReturnType<typeof actsOn>) => Promise<void>) {
  const hub = await startHub();
  const stage = await Stage.open(hub);
  try {
    await stage.listen("web", "all=true");
    await scene(actsOn(stage));
  } finally {
    stage.close();
    await hub.stop();
  }
}

function actsOn(stage: Stage) {
  const ids = new Map<string, string>();
  const id = (name: string) => ids.get(name) ?? "";
  const nameOf = (value: Json | undefined) => [...ids].find(([, each]) => each === value)?.[0];
  const emit = async (name: string, event: string, payload: Members) => {
    stage.client(name).emit(event, { sid: id(name), ...payload });
    await stage.client(name).flush();
  };
  return {
    stage,
    id,
    open: async (name: string, metadata: Members = {}) => {
      const body = { tag: name, metadata: { ...PLACE, ...metadata }, agentState: null };
      const { session } = (await stage.ask("POST", "/cli/sessions", body)) as { session: { id: string } };
      ids.set(name, session.id);
      await stage.cli(name, { sessionId: session.id });
      await emit(name, "session-alive", { time: Date.now(), thinking: false });
    },
    say: (name: string, data: Json) =>
      emit(name, "message", { message: { role: "agent", content: { type: "codex", data } } }),
    end: (name: string) => emit(name, "session-end", { time: Date.now() }),
    write: (name: string, expectedVersion: number, metadata: Members) =>
      stage
        .client(name)
        .ask("update-metadata", { sid: id(name), expectedVersion, metadata: { ...PLACE, ...metadata } }),
    /** The types that the web was told, with whose they are; what comes twice in a row stands once. */
    told: async () => {
      await stage.quiet();
      const all = (stage.told().get("web") ?? []).map(({ event, payload }) => {
        const { sessionId, data } = payload as Members;
        const shape =
          data === undefined ? [] : "id" in (data as Members) ? ["full"] : Object.keys(data as Members);
        return [event, nameOf(sessionId), ...shape.toSorted()].join(" ");
      });
      return all.filter((each, at) => each !== all[at - 1]);
    },
    session: async (name: string) =>
      ((await stage.ask("GET", `/api/sessions/${id(name)}`)) as { session: Members }).session,
    history: async (name: string) => {
      const page = (await stage.ask("GET", `/api/sessions/${id(name)}/messages?limit=50`)) as {
        messages: Members[];
        page: Members;
      };
      return {
        epoch: page.page.epoch,
        seqs: page.messages.map(({ seq }) => Number(seq)).toSorted((a, b) => a - b),
      };
    },
    status: async (name: string) => (await stage.fetch("GET", `/api/sessions/${id(name)}`)).status,
  };
}

function scenes(startHub: StartHub): void {
  test("the one at work takes up the other's history when it names it", () =>
    onStage(startHub, async (acts) => {
      const { stage } = acts;
      await acts.open("old", { claudeSessionId: "c", name: "Mine" });
      await acts.say("old", { type: "message", message: "one" });
      await acts.say("old", {
        type: "tool-call",
        name: "TodoWrite",
        input: { todos: [{ content: "t", status: "pending" }] },
      });
      await acts.say("old", { type: "tool-call", name: "TeamCreate", input: { team_name: "T" } });
      await stage.ask("PUT", `/api/sessions/${acts.id("old")}/pin`, { mode: "global" });
      await stage.fetch("POST", `/api/sessions/${acts.id("old")}/scratchlist`, { text: "note" });
      await acts.end("old");
      await acts.open("new");
      await acts.say("new", { type: "message", message: "two" });
      await stage.mark();
      expect(await acts.write("new", 1, { claudeSessionId: "c" })).toMatchObject([
        { result: "success", version: 2 },
      ]);
      expect(await acts.told()).toEqual([
        "session-updated new metadata updatedAt",
        "messages-invalidated new",
        "session-updated new scratchlistUpdatedAt",
        "session-removed old",
        "session-updated new full",
      ]);
      expect(await acts.status("old")).toBe(404);
      expect(await acts.session("new")).toMatchObject({
        metadata: { ...PLACE, claudeSessionId: "c", name: "Mine" },
        metadataVersion: 3,
        todos: [{ content: "t" }],
        teamState: { teamName: "T" },
        globalPinned: true,
        active: true,
      });
      expect(await acts.history("new")).toEqual({ epoch: 1, seqs: [1, 2, 3, 4] });
      // Its CLI is not told, and takes nothing back.
      expect(await acts.write("new", 2, { claudeSessionId: "c" })).toMatchObject([
        { result: "version-mismatch", version: 3, metadata: { name: "Mine" } },
      ]);
      await acts.say("old", { type: "message", message: "late" });
      expect(stage.client("old").heard.all.at(-1)).toMatchObject({
        event: "error",
        payload: { code: "not-found", scope: "session" },
      });
    }));

  test("both stay while both are at work; the one that ends goes over", () =>
    onStage(startHub, async (acts) => {
      await acts.open("one", { claudeSessionId: "c" });
      await acts.say("one", { type: "message", message: "one" });
      await acts.open("two");
      await acts.say("two", { type: "message", message: "two" });
      await acts.stage.mark();
      await acts.write("two", 1, { claudeSessionId: "c" });
      expect(await acts.told()).toEqual(["session-updated two metadata updatedAt"]);
      await acts.stage.mark();
      await acts.end("one");
      expect(await acts.told()).toEqual([
        "session-updated one active activeTurnStartedAt backgroundTaskCount thinking",
        "session-ended one",
        "messages-invalidated two",
        "session-removed one",
        "session-updated two full",
      ]);
      expect([await acts.status("one"), await acts.status("two")]).toEqual([404, 200]);
    }));
}

describe("by Roost", () => scenes(startRoostHub));
original.describe("by the released hub", () => scenes(startOriginalHub));
