// What happened between the recorded steps and is not recorded itself: who connects when, which messages and terminals are there already.
// Found by replaying against the released hub.
import { at, fill, type Json } from "./placeholders.ts";
import type { Stage } from "./stage.ts";

/** Of the recordings' session and machine. */
const sid = (stage: Stage) => `${stage.names.get("session:S1")}`;
const machineId = (stage: Stage) => `${stage.names.get("machine:M1")}`;

const agentMessage = (data: Json): Json => ({ role: "agent", content: { type: "codex", data } });

/** Keeps the session alive as the recordings' CLI did. */
async function alive(stage: Stage, more: { [key: string]: Json } = {}): Promise<void> {
  const beat = { sid: sid(stage), time: Date.now(), thinking: true, mode: "remote", ...more };
  stage.client("cliA").emit("session-alive", beat);
  await stage.client("cliA").flush();
}

async function terminal(stage: Stage, web: string, terminalId: string): Promise<void> {
  const from = stage.client("cliA").heard.mark;
  stage.client(web).emit("terminal:create", { sessionId: sid(stage), terminalId, cols: 80, rows: 24 });
  await stage
    .client("cliA")
    .heard.first(
      `terminal:open of ${terminalId}`,
      5_000,
      ({ event, payload }) =>
        (event === "terminal:open" && at(payload, "terminalId") === terminalId) || undefined,
      from,
    );
}

/** The CLI says that a terminal is over: its place is free again. */
async function terminalEnds(stage: Stage, terminalId: string): Promise<void> {
  const end = { sessionId: sid(stage), terminalId, code: 0, signal: null };
  stage.client("cliA").emit("terminal:exit", end);
  await stage.client("cliA").flush();
}

/** By the step that it comes before. */
export const scenes: Readonly<Record<string, (stage: Stage) => Promise<void>>> = {
  "10-create-machine": async (stage) => {
    stage.names.set("machine:M1", `machine-${crypto.randomUUID()}`);
    await stage.listen("sse-all", "all=true");
  },
  "14-ping": async (stage) => {
    await stage.cli("cliA", { sessionId: sid(stage) });
    await stage.cli("cliB", { sessionId: sid(stage) });
    // In no room: the session is another namespace's.
    await stage.cli("cliNs2", { sessionId: sid(stage) }, "team2");
    await stage.cli("runner", { machineId: machineId(stage) });
  },
  "22-agent-message": (stage) => stage.listen("sse-S1", `sessionId=${sid(stage)}`),
  "25-message-with-localId": async (stage) => {
    const cliA = stage.client("cliA");
    for (const message of [JSON.stringify(agentMessage({ type: "message", message: "as text" })), "no JSON"])
      cliA.emit("message", { sid: sid(stage), message });
    await cliA.flush();
  },
  "30-web-message-to-cli": async (stage) => {
    const entries = [{ content: "step one", priority: "medium", status: "in_progress" }];
    stage
      .client("cliA")
      .emit("message", { sid: sid(stage), message: agentMessage({ type: "plan", entries }) });
    await stage.client("cliA").flush();
  },
  // The released hub re-sends on every keep-alive; new sockets get it from a hub too that does so once a connection.
  "32-alive-replays-unconsumed": async (stage) => {
    await stage.cli("cliA", { sessionId: sid(stage) });
    await stage.cli("cliB", { sessionId: sid(stage) });
  },
  "36-web-message-inactive-session": async (stage) => {
    const body = { tag: "tag-2", metadata: { path: "/home/u/other", host: "devbox" }, agentState: null };
    const answer = await stage.ask("POST", "/cli/sessions", body);
    stage.names.set("session:S2", at(answer, "session.id") ?? null);
  },
  // The session is taken out of the archive again.
  "46-update-state-ok": async (stage) => {
    const metadata = { path: "/home/u/demo", host: "devbox", flavor: "claude", machineId: machineId(stage) };
    await stage.client("cliA").ask("update-metadata", { sid: sid(stage), expectedVersion: 4, metadata });
  },
  "75-rpc-set-session-config": (stage) => alive(stage),
  "91-terminal-create": async (stage) => {
    await stage.web("web1");
    await stage.web("web2");
    await alive(stage);
  },
  "101-terminal-same-id-other-socket": (stage) => terminal(stage, "web1", "term-3"),
  "105-web-terminal-disconnect": async (stage) => {
    await terminalEnds(stage, "term-3");
    for (const id of ["lim-1", "lim-2", "lim-3", "lim-4"]) await terminal(stage, "web1", id);
  },
  "106-cli-disconnect-with-open-terminal": async (stage) => {
    // Nobody's since their socket went, but still counted.
    for (const id of ["lim-1", "lim-2", "lim-3", "lim-4"]) await terminalEnds(stage, id);
    await stage.web("web1");
    await terminal(stage, "web1", "gone-1");
  },
  "110-archive": async (stage) => {
    await stage.cli("cliA", { sessionId: sid(stage) });
    await alive(stage);
  },
  "111-session-end": (stage) => alive(stage),
  "121-cancel-queued-cli-removed": async (stage) => {
    stage.leave("cliB");
    stage.deafen("sse-S1");
    const body = {
      tag: "tag-q",
      metadata: { path: "/home/u/demo", host: "devbox", flavor: "claude" },
      agentState: {},
    };
    const answer = await stage.ask("POST", "/cli/sessions", body);
    stage.names.set("session:S1", at(answer, "session.id") ?? null);
    await stage.cli("cliA", { sessionId: sid(stage) });
    const modes = { model: "gpt-x", effort: "high", serviceTier: "fast", collaborationMode: "plan" };
    await alive(stage, { thinking: false, ...modes });
    const path = fill("/api/sessions/{{session:S1}}/messages", stage.names);
    await stage.ask("POST", `${path}`, { text: "never mind", localId: "q1" });
  },
};
