// A team as the released hub makes it of messages; each step was seen there.
import { expect, test } from "bun:test";
import { teamChange } from "./team.ts";

const said = (...uses: readonly (readonly [string, unknown])[]) => ({
  role: "agent",
  content: {
    type: "output",
    data: {
      type: "assistant",
      message: {
        content: uses.map(([name, input], at) => ({ type: "tool_use", id: `t${at}`, name, input })),
      },
    },
  },
});
/** What comes of these messages, one after the other. */
const team = (...messages: readonly unknown[]): unknown =>
  messages.reduce((stored, message, at) => {
    const next = teamChange(message)?.(stored, at);
    return next === undefined ? stored : JSON.parse(JSON.stringify(next));
  }, null);
const create = said(["TeamCreate", { team_name: "T", description: "D" }]);
const task = (input: object) => said(["Task", { team_name: "T", ...input }]);
const send = (input: object) => said(["SendMessage", input]);
const EMPTY = { teamName: "T", description: "D", members: [], tasks: [], messages: [], updatedAt: 0 };

test("a team begins with its name, and ends", () => {
  expect(team(create)).toEqual(EMPTY);
  expect(team(said(["TeamCreate", { team_name: "T", description: 5 }]))).toEqual({
    teamName: "T",
    members: [],
    tasks: [],
    messages: [],
    updatedAt: 0,
  });
  for (const input of [{}, { team_name: "" }, { team_name: 5 }])
    expect(team(said(["TeamCreate", input]))).toBe(null);
  expect(team(create, said(["TeamDelete", {}]))).toBe(null);
  expect(
    team(create, task({ name: "a" }), said(["TeamDelete", {}], ["TeamCreate", { team_name: "U" }])),
  ).toEqual({
    teamName: "U",
    members: [],
    tasks: [],
    messages: [],
    updatedAt: 2,
  });
});

test("who is called becomes a member with a task; called again, a new one in the old place", () => {
  const alice = { name: "alice", agentType: "gp", status: "active" };
  const first = task({ name: "alice", subagent_type: "gp", description: "desc" });
  expect(team(create, first, task({ name: "bob" }))).toEqual({
    ...EMPTY,
    members: [alice, { name: "bob", status: "active" }],
    tasks: [{ id: "agent:alice", title: "desc", status: "in_progress", owner: "alice" }],
    updatedAt: 2,
  });
  expect(
    team(create, first, task({ name: "bob" }), task({ name: "alice", description: "more" })),
  ).toMatchObject({
    members: [{ name: "alice", status: "active" }, { name: "bob" }],
    tasks: [{ id: "agent:alice", title: "more" }],
  });
  const nothing = [
    task({}),
    task({ name: "" }),
    task({ name: "x", team_name: "" }),
    said(["Agent", { name: "x" }]),
  ];
  expect(team(create, ...nothing)).toEqual(EMPTY);
  expect(team(first)).toBe(null);
});

test("what is said to them, the last 50; whoever is asked to end has ended", () => {
  const to = (input: object) => (team(create, send(input)) as { messages: unknown[] }).messages;
  const message = { from: "team-lead", to: "a", summary: "s", type: "message", timestamp: 1 };
  expect(to({ type: "message", recipient: "a", summary: "s" })).toEqual([message]);
  expect(to({ type: "plan_approval_response", recipient: "a", content: "c" })).toEqual([
    { ...message, summary: "" },
  ]);
  expect(to({ type: "broadcast", recipient: "a", summary: "s" })).toEqual([
    { ...message, to: "all", type: "broadcast" },
  ]);
  expect(to({ type: "message", summary: "s" })).toEqual([{ ...message, to: "all" }]);
  for (const type of [undefined, 5, ""]) expect(to({ type, recipient: "a", summary: "s" })).toEqual([]);
  expect(
    team(
      create,
      task({ name: "a", subagent_type: "gp" }),
      send({ type: "shutdown_request", recipient: "a" }),
    ),
  ).toMatchObject({
    members: [{ name: "a", agentType: "gp", status: "shutdown" }],
    messages: [{ to: "a", summary: "", type: "shutdown_request" }],
  });
  const many = Array.from({ length: 60 }, (_, at) => send({ type: "message", recipient: `${at}` }));
  const { messages } = team(create, ...many) as { messages: { to: string }[] };
  expect([messages.length, messages[0]?.to]).toEqual([50, "10"]);
});

test("Codex says it in its own form; a person, and a message of another kind, say nothing", () => {
  const codex = (name: string, input: unknown) => ({
    role: "agent",
    content: { type: "codex", data: { type: "tool-call", name, input } },
  });
  expect(team(codex("TeamCreate", { team_name: "T", description: "D" }))).toEqual(EMPTY);
  expect(team({ ...create, role: "user" })).toBe(null);
  for (const odd of [null, "x", {}, codex("TeamCreate", "x"), codex("Bash", {}), said(["TeamCreate", null])])
    expect(teamChange(odd)).toBe(undefined);
});

test("a team of thousands, and one that was stored oddly, stay small and whole", () => {
  const long = "x".repeat(100_000);
  const crowd = Array.from({ length: 1_000 }, (_, at) => task({ name: `${at}${long}`, description: long }));
  const { members, tasks } = team(create, ...crowd) as { members: unknown[]; tasks: unknown[] };
  expect([members.length, tasks.length]).toEqual([200, 200]);
  expect(JSON.stringify(team(create, ...crowd)).length).toBeLessThan(500_000);
  const change = teamChange(task({ name: "a" }));
  expect(change?.({ teamName: "T", members: "none" }, 7)).toMatchObject({
    members: [{ name: "a" }],
    tasks: [],
  });
  expect(change?.("odd", 7)).toBe(undefined);
});
