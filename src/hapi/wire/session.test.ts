// Full sessions and rows of the list, key by key as the released hub sends them (recordings "cli create session", "session list").
import { expect, test } from "bun:test";
import type { SessionListRow, SessionPresence } from "../store/rows.ts";
import { byAttention, byUpdate, sessionSummary, sessionView } from "./session.ts";
import { alivePatch } from "./session-patches.ts";

const ROW: SessionListRow = {
  id: "s1",
  namespace: "default",
  tag: "tag-a",
  seq: 0,
  createdAt: 1,
  updatedAt: 2,
  metadata: {
    path: "/home/dev/proj",
    host: "host-a",
    machineId: "m",
    flavor: "claude",
    lifecycleState: "running",
  },
  metadataVersion: 1,
  agentState: { controlledByUser: false },
  agentStateVersion: 1,
  todos: null,
  todosUpdatedAt: 0,
  teamState: null,
  teamStateUpdatedAt: 0,
  model: "opus",
  modelReasoningEffort: null,
  effort: null,
  serviceTier: null,
  pinned: false,
  globalPinned: false,
  hasConversationContent: false,
  presence: undefined,
  futureScheduledMessageCount: 0,
  nextScheduledAt: null,
};

const PRESENCE: SessionPresence = {
  active: false,
  activeAt: 1,
  thinking: false,
  thinkingAt: 0,
  activeTurnStartedAt: null,
  backgroundTaskCount: 0,
  permissionMode: null,
  collaborationMode: null,
  copilotAgentMode: null,
};

const sent = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

test("a full session has exactly these keys", () => {
  expect(sent(sessionView(ROW, PRESENCE))).toEqual({
    hasConversationContent: false,
    id: "s1",
    namespace: "default",
    seq: 0,
    createdAt: 1,
    updatedAt: 2,
    pinned: false,
    globalPinned: false,
    active: false,
    activeAt: 1,
    metadata: ROW.metadata,
    metadataVersion: 1,
    agentState: { controlledByUser: false },
    agentStateVersion: 1,
    thinking: false,
    thinkingAt: 0,
    activeTurnStartedAt: null,
    backgroundTaskCount: 0,
    todosUpdatedAt: 0,
    teamStateUpdatedAt: 0,
    model: "opus",
    modelReasoningEffort: null,
    effort: null,
    serviceTier: null,
  });
});

test("a mode that its CLI never named is the one that its metadata prefers", () => {
  const row = { ...ROW, metadata: { path: "/", host: "h", preferredPermissionMode: "plan" } };
  expect(sessionView(row, PRESENCE).permissionMode).toBe("plan");
  expect(sessionView(row, { ...PRESENCE, permissionMode: "default" }).permissionMode).toBe("default");
});

test("a row of the list has exactly these keys", () => {
  const requests = { "req-1": { tool: "Bash", arguments: {}, createdAt: 7 } };
  expect(sent(sessionSummary({ ...ROW, agentState: { requests } }, PRESENCE))).toEqual({
    hasConversationContent: false,
    id: "s1",
    active: false,
    thinking: false,
    activeAt: 1,
    updatedAt: 2,
    pinned: false,
    globalPinned: false,
    metadata: { path: "/home/dev/proj", machineId: "m", flavor: "claude", lifecycleState: "running" },
    metadataVersion: 1,
    agentStateVersion: 1,
    todosUpdatedAt: 0,
    todoProgress: null,
    pendingRequestsCount: 1,
    pendingRequestKinds: ["permission"],
    pendingRequests: [{ id: "req-1", kind: "permission", tool: "Bash", since: 7 }],
    backgroundTaskCount: 0,
    futureScheduledMessageCount: 0,
    nextScheduledAt: null,
    model: "opus",
    modelReasoningEffort: null,
    effort: null,
  });
});

test("pins, then what is at work and waits for somebody, then the newest", () => {
  const asks = { requests: { a: { tool: "x" } } };
  const row = (id: string, change: Partial<SessionListRow>, active = false) =>
    sessionSummary({ ...ROW, id, ...change }, { ...PRESENCE, active });
  const rows = [
    row("old", { updatedAt: 1 }),
    row("asks but is away", { updatedAt: 0, agentState: asks }),
    row("new", { updatedAt: 9 }),
    row("at work", { updatedAt: 3 }, true),
    row("asks", { updatedAt: 2, agentState: asks }, true),
    row("pinned", { updatedAt: 0, pinned: true }),
    row("pinned everywhere", { updatedAt: 0, globalPinned: true }),
  ];
  expect(rows.toSorted(byAttention).map(({ id }) => id)).toEqual([
    "pinned everywhere",
    "pinned",
    "asks",
    "at work",
    "new",
    "old",
    "asks but is away",
  ]);
  expect(rows.toSorted(byUpdate)[0]?.id).toBe("new");
});

// A web client fetches a session anew for every patch with a key that it does not know (hapi-http-sse B4).
test("a patch of a keep-alive has exactly these keys", () => {
  expect(sent(alivePatch({ ...PRESENCE, active: true }, ROW))).toEqual({
    active: true,
    activeAt: 1,
    thinking: false,
    activeTurnStartedAt: null,
    model: "opus",
    modelReasoningEffort: null,
    effort: null,
    serviceTier: null,
  });
  const modes = { permissionMode: "plan", collaborationMode: "plan", copilotAgentMode: "autopilot" };
  expect(alivePatch({ ...PRESENCE, ...modes }, ROW)).toMatchObject(modes);
});
