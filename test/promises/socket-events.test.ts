// The acknowledgements and effects of the core events: ping, message, and the versioned parts of sessions and machines
// (realtime contract 6.1 to 6.9, safe fixes of 16).
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Account, type Listener, newAccount } from "../support/happy-client.ts";
import { type TestServer, testServer } from "../support/server.ts";

// A busy machine is slow, not wrong.
setDefaultTimeout(30_000);

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

interface Scene {
  readonly account: Account;
  readonly socket: Listener;
  readonly phone: Listener;
  readonly sid: string;
  readonly mid: string;
}

/** Runs with a fresh account that has one session and one machine, and two sockets. */
async function within(work: (scene: Scene) => Promise<void>): Promise<void> {
  const account = await newAccount(server.url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "m0" });
  const mid = crypto.randomUUID();
  await account.call("POST", "/v1/machines", { id: mid, metadata: "m0" });
  const [socket, phone] = [await account.connect({}), await account.connect()];
  try {
    await work({ account, socket, phone, sid: opened.body.session.id, mid });
  } finally {
    socket.close();
    phone.close();
  }
}

/** Emits and gives the acknowledgement, or undefined when none has come before that of a later ping. */
async function answerOf({ socket }: Scene, event: string, ...args: unknown[]): Promise<unknown> {
  let answer: unknown;
  socket.socket.emit(event, ...args, (...given: unknown[]) => {
    answer = given[0];
  });
  await socket.settled();
  return answer;
}

describe("ping", () => {
  test("is answered with an empty object", () =>
    within(async (scene) => {
      expect(await scene.socket.ask("ping")).toEqual({});
    }));

  test("its answer means that what was sent before is stored", () =>
    within(async ({ account, socket, sid }) => {
      for (let number = 1; number <= 200; number++)
        socket.socket.emit("message", { sid, message: `${number}`, localId: `${number}` });
      await socket.ask("ping");
      const page = await account.call("GET", `/v3/sessions/${sid}/messages?limit=500`);
      expect(page.body.messages).toHaveLength(200);
    }));
});

describe("message", () => {
  test("is never acknowledged", () =>
    within(async (scene) => {
      expect(await answerOf(scene, "message", { sid: scene.sid, message: "c" })).toBeUndefined();
      await scene.phone.untilUpdate("new-message");
    }));

  for (const [what, payload, stored] of [
    ["plain", { message: "c", localId: "l", other: 1 }, { c: "c", localId: "l" }],
    ["empty text", { message: "" }, { c: "", localId: null }],
    ["an empty localId", { message: "c", localId: "" }, { c: "c", localId: "" }],
    ["a number as localId", { message: "c", localId: 5 }, { c: "c", localId: null }],
    ["null as localId", { message: "c", localId: null }, { c: "c", localId: null }],
  ] as const) {
    test(`${what} is stored and announced`, () =>
      within(async ({ account, socket, phone, sid }) => {
        socket.socket.emit("message", { sid, ...payload });
        const { body } = await phone.untilUpdate("new-message");
        expect([body.message.content.c, body.message.localId]).toEqual([stored.c, stored.localId]);
        const page = await account.call("GET", `/v3/sessions/${sid}/messages`);
        expect(page.body.messages).toEqual([body.message]);
      }));
  }

  for (const [what, payload] of [
    ["no payload", undefined],
    ["null", null],
    ["text", "c"],
    ["no message", {}],
    ["null as message", { message: null }],
    ["a number as message", { message: 5 }],
    ["an object as message", { message: { c: "c" } }],
    ["an unknown session", { sid: "unknown", message: "c" }],
    ["a number as session", { sid: 5, message: "c" }],
  ] as const) {
    test(`${what} is ignored and burns no number`, () =>
      within(async ({ account, socket, phone, sid }) => {
        const whole = typeof payload === "object" && payload !== null ? { sid, ...payload } : payload;
        socket.socket.emit("message", whole);
        socket.socket.emit("message", { sid, message: "next", localId: "n" });
        const update = await phone.untilUpdate("new-message");
        expect([update.seq, update.body.message.seq, update.body.message.content.c]).toEqual([4, 1, "next"]);
        const page = await account.call("GET", `/v3/sessions/${sid}/messages`);
        expect(page.body.messages).toHaveLength(1);
      }));
  }

  test("with a known localId changes and tells nothing", () =>
    within(async ({ account, socket, phone, sid }) => {
      for (const message of ["first", "second", "third"])
        socket.socket.emit("message", { sid, message, localId: "same" });
      socket.socket.emit("message", { sid, message: "other", localId: "other" });
      await phone.until(({ body }) => body?.body?.message?.localId === "other");
      const page = await account.call("GET", `/v3/sessions/${sid}/messages`);
      const seen = page.body.messages.map((m: { seq: number; content: { c: string } }) => [
        m.seq,
        m.content.c,
      ]);
      expect(seen).toEqual([
        [1, "first"],
        [2, "other"],
      ]);
      expect(phone.updates.map(({ seq }) => seq)).toEqual([4, 5]);
    }));
});

type Part = readonly [
  event: string,
  field: string,
  failure: unknown,
  first: number,
  key: "sid" | "machineId",
];
const SESSION_FAILURE = { result: "error" };
const machineFailure = (message: string) => ({ result: "error", message });
const PARTS: readonly Part[] = [
  ["update-metadata", "metadata", SESSION_FAILURE, 0, "sid"],
  ["update-state", "agentState", SESSION_FAILURE, 0, "sid"],
  ["machine-update-metadata", "metadata", machineFailure("Invalid parameters"), 1, "machineId"],
  ["machine-update-state", "daemonState", machineFailure("Invalid parameters"), 0, "machineId"],
];

for (const [event, field, failure, first, key] of PARTS) {
  const isSession = key === "sid";
  const idOf = (scene: Scene) => (isSession ? scene.sid : scene.mid);
  const seqs = ({ phone }: Scene) => phone.updates.map(({ body }) => body[field]);

  describe(event, () => {
    test("stores the value as sent, counts up, and tells everybody concerned, the sender too", () =>
      within(async (scene) => {
        const id = idOf(scene);
        for (const [step, value] of ["é one", "two"].entries()) {
          const expectedVersion = first + step;
          expect(await answerOf(scene, event, { [key]: id, [field]: value, expectedVersion })).toEqual({
            result: "success",
            version: expectedVersion + 1,
            [field]: value,
          });
        }
        await scene.phone.settled();
        const told = [
          { value: "é one", version: first + 1 },
          { value: "two", version: first + 2 },
        ];
        expect(seqs(scene)).toEqual(told);
        expect(scene.socket.updates.map(({ body }) => body[field])).toEqual(told);
      }));

    test("with a stale version changes nothing and gives what is stored", () =>
      within(async (scene) => {
        const id = idOf(scene);
        await answerOf(scene, event, { [key]: id, [field]: "mine", expectedVersion: first });
        for (const expectedVersion of [first, first + 2, -1, first + 0.5]) {
          expect(await answerOf(scene, event, { [key]: id, [field]: "late", expectedVersion })).toEqual({
            result: "version-mismatch",
            version: first + 1,
            [field]: "mine",
          });
        }
        await scene.phone.settled();
        expect(seqs(scene)).toEqual([{ value: "mine", version: first + 1 }]);
      }));

    test("of two at once the first wins and the other learns what it wrote", () =>
      within(async (scene) => {
        const id = idOf(scene);
        const write = (socket: Listener, value: string) =>
          socket.ask(event, { [key]: id, [field]: value, expectedVersion: first });
        const answers = await Promise.all([
          write(scene.socket, "a"),
          write(scene.phone, "b"),
          write(scene.socket, "c"),
        ]);
        const won = answers.filter(({ result }) => result === "success");
        expect(won).toHaveLength(1);
        const lost = { result: "version-mismatch", version: first + 1, [field]: won[0][field] };
        expect(answers.filter(({ result }) => result !== "success")).toEqual([lost, lost]);
      }));

    test("without a callback it is done and told all the same", () =>
      within(async (scene) => {
        scene.socket.socket.emit(event, { [key]: idOf(scene), [field]: "quiet", expectedVersion: first });
        await scene.phone.until(({ body }) => body?.body?.[field]?.value === "quiet");
      }));

    test("of somebody else's or nothing's is refused", () =>
      within(async (scene) => {
        const stranger = await newAccount(server.url);
        const intruder = await stranger.connect();
        const refused = isSession ? SESSION_FAILURE : machineFailure("Machine not found");
        const payload = { [key]: idOf(scene), [field]: "v", expectedVersion: first };
        expect(await intruder.ask(event, payload)).toEqual(refused);
        expect(await answerOf(scene, event, { ...payload, [key]: "unknown" })).toEqual(refused);
        await scene.phone.settled();
        expect(seqs(scene)).toEqual([]);
        intruder.close();
      }));

    for (const [what, change] of [
      ["no id", { [key]: undefined }],
      ["an empty id", { [key]: "" }],
      ["a number as id", { [key]: 5 }],
      ["no value", { [field]: undefined }],
      ["a number as value", { [field]: 5 }],
      ["no version", { expectedVersion: undefined }],
      ["text as version", { expectedVersion: "0" }],
      ["null as version", { expectedVersion: null }],
    ] as const) {
      test(`${what} is refused`, () =>
        within(async (scene) => {
          const payload = { [key]: idOf(scene), [field]: "v", expectedVersion: first, ...change };
          expect(await answerOf(scene, event, payload)).toEqual(failure);
        }));
    }

    test("without a payload it is refused", () =>
      within(async (scene) => {
        const refused = isSession ? SESSION_FAILURE : machineFailure("Internal error");
        expect(await answerOf(scene, event, null)).toEqual(refused);
        expect(await answerOf(scene, event)).toEqual(refused);
      }));
  });
}

test("null clears the agent's state, and is no value for any other part", () =>
  within(async (scene) => {
    const { sid, mid } = scene;
    await answerOf(scene, "update-state", { sid, agentState: "s", expectedVersion: 0 });
    expect(await answerOf(scene, "update-state", { sid, agentState: null, expectedVersion: 1 })).toEqual({
      result: "success",
      version: 2,
      agentState: null,
    });
    expect(await answerOf(scene, "update-state", { sid, agentState: "x", expectedVersion: 1 })).toEqual({
      result: "version-mismatch",
      version: 2,
      agentState: null,
    });
    expect(await answerOf(scene, "update-metadata", { sid, metadata: null, expectedVersion: 0 })).toEqual(
      SESSION_FAILURE,
    );
    const invalid = machineFailure("Invalid parameters");
    for (const [event, field] of [
      ["machine-update-state", "daemonState"],
      ["machine-update-metadata", "metadata"],
    ] as const)
      expect(await answerOf(scene, event, { machineId: mid, [field]: null, expectedVersion: 1 })).toEqual(
        invalid,
      );
  }));

test("a new daemon state proves the machine alive; new metadata does not", () =>
  within(async (scene) => {
    const { account, mid } = scene;
    const row = async () => (await account.call("GET", `/v1/machines/${mid}`)).body.machine;
    const before = await row();
    expect(before.active).toBe(false);
    await answerOf(scene, "machine-update-metadata", { machineId: mid, metadata: "m1", expectedVersion: 1 });
    expect(await row()).toMatchObject({
      active: false,
      activeAt: before.activeAt,
      metadata: "m1",
      metadataVersion: 2,
    });
    await answerOf(scene, "machine-update-state", { machineId: mid, daemonState: "d", expectedVersion: 0 });
    const after = await row();
    expect(after).toMatchObject({ active: true, daemonState: "d", daemonStateVersion: 1 });
    expect(after.activeAt).toBeGreaterThanOrEqual(before.activeAt);
  }));
