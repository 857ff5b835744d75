// Steering, handing over once more, and plans, over a whole server.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type DeskCli, HapiDesk } from "../../support/hapi-desk.ts";
import { until } from "../../support/until.ts";

let desk: HapiDesk;
beforeAll(async () => {
  desk = await HapiDesk.open();
});
afterAll(() => desk.close());

const at = (id: string, message: string, deed: "steer" | "retry") =>
  `/api/sessions/${id}/messages/${message}/${deed}`;
const post = (id: string, localId: string) =>
  desk.ask("POST", `/api/sessions/${id}/messages`, { text: localId, localId });
async function doubt(cli: DeskCli, localId: string): Promise<void> {
  await post(cli.id, localId);
  cli.emit("messages-indeterminate", { sid: cli.id, localIds: [localId] });
  await until("the doubt", async () => {
    const { body } = await desk.ask("POST", `/api/sessions/${cli.id}/messages/queued-state`, {
      localIds: [localId],
    });
    return (body as { indeterminateLocalIds: string[] }).indeterminateLocalIds.length === 1;
  });
}

test("a waiting message is taken into the turn that runs, where the agent can", async () => {
  const id = await desk.session({ flavor: "codex" });
  const cli = await desk.sessionCli(id, { "steer-queued-message": { steered: true } });
  await post(id, "a");
  expect(await desk.short("POST", at(id, "a", "steer"))).toEqual([200, { status: "steered", localId: "a" }]);
  expect(cli.calls).toEqual([["steer-queued-message", { localId: "a" }]]);
  cli.answers.set("steer-queued-message", { steered: false, error: "busy turn" });
  expect(await desk.short("POST", at(id, "a", "steer"))).toEqual([
    200,
    { status: "failed", error: "busy turn", localId: "a" },
  ]);
  cli.answers.set("steer-queued-message", null);
  expect(await desk.short("POST", at(id, "a", "steer"))).toMatchObject([
    200,
    { status: "failed", error: "Steer failed" },
  ]);
  expect(await desk.short("POST", at(id, "b", "steer"))).toEqual([
    200,
    { status: "failed", error: "Message not found", localId: null },
  ]);
  cli.emit("messages-consumed", { sid: id, localIds: ["a"] });
  await cli.flush();
  expect(await desk.short("POST", at(id, "a", "steer"))).toMatchObject([
    200,
    { status: "invoked", message: { localId: "a" } },
  ]);
  const claude = await desk.session();
  await desk.sessionCli(claude);
  expect(await desk.short("POST", at(claude, "a", "steer"))).toEqual([
    200,
    {
      status: "failed",
      error: "Steering is only supported for Pi, Codex, and Cursor ACP sessions",
      localId: null,
    },
  ]);
});

test("a message in doubt goes once more to a CLI that says it does not have it", async () => {
  const id = await desk.session();
  const cli = await desk.sessionCli(id);
  expect(await desk.short("POST", at(id, "a", "retry"))).toEqual([200, { status: "not-found" }]);
  await post(id, "a");
  expect(await desk.short("POST", at(id, "a", "retry"))).toEqual([
    200,
    { status: "already-queued", localId: "a" },
  ]);
  await doubt(cli, "b");
  cli.updates.length = 0;
  cli.acknowledges = ({ t }) =>
    t === "cancel-queued-message" ? { removed: false } : { accepted: true, removed: false };
  expect(await desk.short("POST", at(id, "b", "retry"))).toEqual([200, { status: "retried", localId: "b" }]);
  expect(cli.updates.map(({ body }) => body.t)).toEqual(["cancel-queued-message", "retry-queued-message"]);
  expect(cli.updates[1]?.body).toMatchObject({
    localId: "b",
    message: { localId: "b", content: { role: "user" } },
  });
  expect(await desk.short("POST", at(id, "b", "retry"))).toEqual([
    200,
    { status: "already-queued", localId: "b" },
  ]);
  // One that its CLI was giving to the agent when it went is in doubt as well.
  cli.emit("messages-steer-state", { sid: id, localIds: ["b"], state: "dispatching" });
  await cli.flush();
  expect(await desk.short("POST", at(id, "b", "retry"))).toEqual([200, { status: "retried", localId: "b" }]);
});

test("a message in doubt stays so when its CLI will not say, and counts as taken when it was", async () => {
  const id = await desk.session();
  const cli = await desk.sessionCli(id);
  await doubt(cli, "a");
  for (const [cancel, again] of [
    [null, null],
    [{ removed: false, inFlight: true }, null],
    [{ removed: false }, { accepted: false }],
  ]) {
    cli.acknowledges = ({ t }) => (t === "cancel-queued-message" ? cancel : again);
    expect(await desk.short("POST", at(id, "a", "retry"))).toEqual([
      200,
      { status: "retry-unavailable", localId: "a" },
    ]);
  }
  cli.acknowledges = () => ({ removed: false, consumed: true });
  expect(await desk.short("POST", at(id, "a", "retry"))).toMatchObject([
    200,
    { status: "invoked", message: { localId: "a" } },
  ]);
});

test("a plan is carried out in a shared codex session", async () => {
  const shared = await desk.session({ flavor: "codex", capabilities: { concurrentClients: true } });
  const alone = await desk.session({ flavor: "codex" });
  const cli = await desk.sessionCli(shared, { "implement-codex-plan": { ok: true } });
  await desk.sessionCli(alone);
  const plan = (id: string, body: object) =>
    desk.short("POST", `/api/sessions/${id}/codex/plan/implement`, body);
  expect(await plan(shared, { planId: "p" })).toEqual([200, { ok: true }]);
  expect(cli.calls).toEqual([["implement-codex-plan", { planId: "p" }]]);
  expect(await plan(shared, {})).toEqual([400, { error: "Invalid body" }]);
  cli.answers.set("implement-codex-plan", { ok: false, code: "stale", error: "old" });
  expect(await plan(shared, { planId: "p" })).toEqual([409, { ok: false, code: "stale", error: "old" }]);
  expect(await plan(alone, { planId: "p" })).toMatchObject([409, { ok: false, code: "unavailable" }]);
});
