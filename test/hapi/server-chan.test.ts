// What the owner is told by ServerChan through a whole server: of every namespace, in the words of the hub, as markup of nobody's; held back
// while somebody looks, where that is wanted; kept in the ledger.
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { type DeskCli, HapiDesk } from "../support/hapi-desk.ts";
import { ServerChanService } from "../support/server-chan-service.ts";
import { until } from "../support/until.ts";

const KEY = "SCT1verysecret";
let service: ServerChanService;
let desk: HapiDesk;
let ends: (() => void)[] = [];

async function open(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  service = new ServerChanService();
  desk = await HapiDesk.open({
    hapiServerchanKey: KEY,
    hapiServerchanUrl: service.url,
    hapiPublicUrl: "https://hub.example",
    ...more,
  });
}
afterEach(async () => {
  for (const end of ends) end();
  ends = [];
  await desk.close();
  await service.stop();
});

const ready = { role: "agent", content: { type: "event", data: { type: "ready" } } };
const task = (status: string) => ({
  role: "agent",
  content: {
    type: "output",
    data: { type: "system", subtype: "task_notification", summary: `it ${status}`, status, task_id: status },
  },
});

async function atWork(of: HapiDesk, name: string): Promise<{ cli: DeskCli; id: string }> {
  const id = await of.session({ name });
  return { cli: await of.sessionCli(id), id };
}
const say = (cli: DeskCli, id: string, message: unknown) => cli.emit("message", { sid: id, message });
const taken = async (count: number) => {
  await until(`${count} messages`, () => service.taken.length >= count);
  return service.taken.map(({ title, desp }) => [title, desp]);
};

/** A page of the default namespace that is looked at. */
async function look(): Promise<void> {
  const abort = new AbortController();
  ends.push(() => abort.abort());
  const address = `${desk.server.url}/api/events?all=true&visibility=visible&token=${desk.login}`;
  const answer = await fetch(address, { signal: abort.signal });
  const reader = answer.body?.getReader();
  await reader?.read();
  const drain = async () => {
    while ((await reader?.read())?.done === false);
  };
  drain().catch(() => {});
}

test("permissions, questions, readiness, failed tasks and ends are told, of whatever namespace", async () => {
  await open();
  const other = await desk.of("other");
  const { cli, id } = await atWork(other, "my [session](x)");
  ends.push(() => cli.socket.close());
  await look();
  const agentState = { requests: { r1: { tool: "Bash", arguments: { command: "ls" } } } };
  await cli.socket.emitWithAck("update-state", { sid: id, expectedVersion: 1, agentState });
  await taken(1);
  say(cli, id, ready);
  await taken(2);
  say(cli, id, task("completed"));
  say(cli, id, task("failed"));
  await taken(3);
  cli.emit("session-end", { sid: id, time: Date.now(), reason: "completed" });
  const name = "my \\[session\\](x)";
  const link = `\n\nhttps://hub.example/sessions/${id}`;
  expect(await taken(4)).toEqual([
    ["HAPI Permission Request", `${name} (Bash)${link}`],
    ["HAPI Ready for input", `Claude is waiting in ${name}${link}`],
    ["HAPI Task failed", `Claude · ${name} · it failed${link}`],
    ["HAPI Session completed", `Claude has finished in ${name}${link}`],
  ]);
  expect(service.taken.every(({ key }) => key === KEY)).toBeTrue();
});

test("where it is wanted, nothing is told while somebody of the namespace looks; the ledger says so", async () => {
  await open({ hapiServerchanBackgroundOnly: true });
  const { cli, id } = await atWork(desk, "seen");
  const other = await desk.of("other");
  const unseen = await atWork(other, "unseen");
  ends.push(
    () => cli.socket.close(),
    () => unseen.cli.socket.close(),
  );
  await look();
  say(cli, id, ready);
  say(unseen.cli, unseen.id, ready);
  await taken(1);
  await until("the decisions to be kept", () => kept().length === 2);
  expect(service.taken.map(({ desp }) => desp.includes("unseen"))).toEqual([true]);
  expect(kept()).toEqual([
    ["held-back", "the app is looked at", 0],
    ["sent", null, 1],
  ]);
});

function kept(): unknown[] {
  const database = new Database(`${desk.home}/hapi.db`, { readonly: true });
  try {
    return database
      .query(
        "SELECT outcome, reason, delivered FROM roost_pushes WHERE channel = 'serverchan' ORDER BY outcome",
      )
      .values();
  } finally {
    database.close();
  }
}

test("a key that ServerChan does not know is the owner's to take away: it is tried again for the next", async () => {
  await open();
  service.unknown.add(KEY);
  const { cli, id } = await atWork(desk, "s");
  ends.push(() => cli.socket.close());
  say(cli, id, task("failed"));
  await until("the refusal", () => service.requests === 1);
  service.unknown.clear();
  say(cli, id, task("failed"));
  await taken(1);
});
