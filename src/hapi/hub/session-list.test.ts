// The answer to who lists sessions: the same bytes while nothing has changed, and never an old one after something has.
import { afterEach, beforeEach, expect, setSystemTime, test } from "bun:test";
import { openTestHub, PLACE, type TestHub } from "../../../test/support/hapi-hub.ts";

let t: TestHub;
let sid: string;
const key = () => ({ namespace: "default", id: sid });

beforeEach(async () => {
  t = openTestHub();
  sid = await t.session("t", PLACE);
  await t.session("u", PLACE);
});
afterEach(() => {
  setSystemTime();
  return t.all.close();
});

const bytes = (options = {}) => t.hub.sessions.listJson("default", options);
const listed = async (options = {}) => JSON.parse(new TextDecoder().decode(await bytes(options))).sessions;
const own = async () => (await listed()).find(({ id }: { id: string }) => id === sid);

test("the same bytes go out again while nothing has changed", async () => {
  const first = await bytes();
  expect(await bytes()).toBe(first);
  expect(await bytes({ limit: 1 })).not.toBe(first);
  expect(await listed({ limit: 1 })).toHaveLength(1);
  expect(await bytes()).toBe(first);
});

test("it says what the summaries say, in their order", async () => {
  await t.hub.sessions.pin(key(), "global");
  for (const options of [{}, { limit: 1 }, { isByUpdate: true }, { isByUpdate: true, limit: 1 }])
    expect(await listed(options)).toEqual(
      JSON.parse(JSON.stringify(await t.hub.sessions.list("default", options))),
    );
});

test.each<[string, () => Promise<unknown>, string, unknown]>([
  [
    "a name",
    () => t.hub.sessions.rename(key(), "other"),
    "metadata",
    expect.objectContaining({ name: "other" }),
  ],
  ["a pin", () => t.hub.sessions.pin(key(), "project"), "pinned", true],
  [
    "a message",
    () => t.store.appendMessage({ session: key(), content: { role: "user", content: "x" }, localId: null }),
    "hasConversationContent",
    true,
  ],
  [
    "a keep-alive, which is known in memory only",
    () => t.hub.sessionPresence.alive({ namespace: "default", sid, time: t.wall, thinking: true }),
    "thinking",
    true,
  ],
])("%s is in the next answer", async (_, change, field, value) => {
  expect((await own())[field]).not.toEqual(value);
  await change();
  expect((await own())[field]).toEqual(value);
});

test("a session that is gone is in no further answer", async () => {
  await bytes();
  await t.hub.sessions.delete(key());
  expect(await own()).toBeUndefined();
});

test("a scheduled message counts until its time has come, though nothing is stored then", async () => {
  const now = Date.now();
  const scheduledAt = now + 60_000;
  await t.store.appendMessage({ session: key(), content: "later", localId: "l", scheduledAt });
  expect(await own()).toMatchObject({ futureScheduledMessageCount: 1, nextScheduledAt: scheduledAt });
  setSystemTime(new Date(scheduledAt + 1));
  expect(await own()).toMatchObject({ futureScheduledMessageCount: 0, nextScheduledAt: null });
  // The clock is set back.
  setSystemTime(new Date(now));
  expect(await own()).toMatchObject({ futureScheduledMessageCount: 1 });
});

test("namespaces do not see each other's", async () => {
  await bytes();
  expect(JSON.parse(new TextDecoder().decode(await t.hub.sessions.listJson("other", {}))).sessions).toEqual(
    [],
  );
});
