// Artifacts over a socket: every acknowledgement, and that socket and HTTP write and announce the same.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type Listener, newAccount } from "../../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../../test/support/server.ts";
import { withoutTable } from "../../../../test/support/without-table.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const MIB = 1024 * 1024;

const error = (message: string) => ({ result: "error", message });
const INTERNAL = error("Internal error");
const INVALID = error("Invalid parameters");
const MISSING = error("Artifact not found");

const draft = (id: string = crypto.randomUUID()) => ({
  id,
  header: "aGVhZA==",
  body: "Ym9keQ==",
  dataEncryptionKey: "a2V5",
});

async function fired(listener: Listener): Promise<unknown[]> {
  await listener.settled();
  return listener.updates.map(({ seq, body }) => [seq, body]);
}

/** An account with one user socket, and a stranger's. */
async function scene() {
  const [me, other] = [await newAccount(server.url), await newAccount(server.url)];
  const [phone, stranger] = [await me.connect(), await other.connect()];
  return {
    me,
    phone,
    stranger,
    close: () => {
      phone.close();
      stranger.close();
    },
  };
}

test("a part may be as large as over HTTP: its bytes count, not its base64", async () => {
  const { me, phone, close } = await scene();
  const base64 = (bytes: number) => Buffer.alloc(bytes).toString("base64");
  const artifact = { ...draft(), body: base64(8 * MIB) };
  expect((await phone.ask("artifact-create", artifact)).result).toBe("success");
  expect(await phone.ask("artifact-create", { ...draft(), body: base64(8 * MIB + 1) })).toEqual(INTERNAL);
  const change = { artifactId: artifact.id, body: { data: base64(8 * MIB), expectedVersion: 1 } };
  expect((await phone.ask("artifact-update", change)).result).toBe("success");
  const tooMuch = { artifactId: artifact.id, body: { data: base64(8 * MIB + 1), expectedVersion: 2 } };
  expect(await phone.ask("artifact-update", tooMuch)).toEqual(INTERNAL);
  expect((await me.call("GET", `/v1/artifacts/${artifact.id}`)).body.bodyVersion).toBe(2);
  close();
});

describe("create and read", () => {
  test("any text may be the id; the answer has no key, the announcement has it", async () => {
    const { me, phone, stranger, close } = await scene();
    const cli = await me.connect({ clientType: "session-scoped", sessionId: "s" });
    const artifact = draft(`not a uuid ${me.id}`);
    const { dataEncryptionKey, ...shown } = artifact;
    const created = await cli.ask("artifact-create", artifact);
    const whole = {
      ...shown,
      headerVersion: 1,
      bodyVersion: 1,
      seq: 0,
      createdAt: expect.any(Number),
      updatedAt: expect.any(Number),
    };
    expect(created).toEqual({ result: "success", artifact: whole });
    const again = await phone.ask("artifact-create", { ...artifact, header: "!", body: "eA==" });
    expect(again).toEqual(created);
    const read = await phone.ask("artifact-read", { artifactId: artifact.id });
    expect(read).toEqual(created);
    expect(await stranger.ask("artifact-create", artifact)).toEqual(
      error("Artifact with this ID already exists for another account"),
    );
    expect(await stranger.ask("artifact-read", { artifactId: artifact.id })).toEqual(MISSING);
    const { id: artifactId, ...rest } = created.artifact;
    expect(await fired(phone)).toEqual([[1, { t: "new-artifact", artifactId, dataEncryptionKey, ...rest }]]);
    expect(await fired(cli)).toEqual([]);
    expect(await fired(stranger)).toEqual([]);
    cli.close();
    close();
  });

  test("HTTP reads what a socket wrote", async () => {
    const { me, phone, close } = await scene();
    const artifact = draft();
    await phone.ask("artifact-create", { ...artifact, header: "aGVhZA", body: "" });
    const { body } = await me.call("GET", `/v1/artifacts/${artifact.id}`);
    expect(body).toMatchObject({ ...artifact, header: "aGVhZA==", body: "" });
    close();
  });

  test("a creation without an acknowledgement callback is stored and announced all the same", async () => {
    const { phone, close } = await scene();
    const artifact = draft();
    phone.socket.emit("artifact-create", artifact);
    expect((await phone.untilUpdate("new-artifact")).body.artifactId).toBe(artifact.id);
    close();
  });
});

describe("update", () => {
  const HEADER = { data: "aDI=", expectedVersion: 1 };
  const BODY = { data: "YjI=", expectedVersion: 1 };
  test.each([
    [
      "the header",
      { header: HEADER },
      { result: "success", header: { version: 2, data: "aDI=" } },
      { header: { value: "aDI=", version: 2 } },
    ],
    [
      "both",
      { header: HEADER, body: BODY },
      { result: "success", header: { version: 2, data: "aDI=" }, body: { version: 2, data: "YjI=" } },
      { header: { value: "aDI=", version: 2 }, body: { value: "YjI=", version: 2 } },
    ],
    [
      "the body, with a header of null",
      { header: null, body: { data: "YjIx", expectedVersion: 1 } },
      { result: "success", body: { version: 2, data: "YjIx" } },
      { body: { value: "YjIx", version: 2 } },
    ],
    [
      "unpadded data, echoed as sent and announced padded",
      { body: { data: "YWJjZA", expectedVersion: 1 } },
      { result: "success", body: { version: 2, data: "YWJjZA" } },
      { body: { value: "YWJjZA==", version: 2 } },
    ],
    [
      "empty data",
      { body: { data: "", expectedVersion: 1 } },
      { result: "success", body: { version: 2, data: "" } },
      { body: { value: "", version: 2 } },
    ],
    [
      "a stale header beside a good body",
      { header: { data: "aDI=", expectedVersion: 0 }, body: BODY },
      { result: "version-mismatch", header: { currentVersion: 1, currentData: "aGVhZA==" } },
      undefined,
    ],
    [
      "two stale parts",
      { header: { data: "!", expectedVersion: 2 }, body: { data: "!", expectedVersion: 0 } },
      {
        result: "version-mismatch",
        header: { currentVersion: 1, currentData: "aGVhZA==" },
        body: { currentVersion: 1, currentData: "Ym9keQ==" },
      },
      undefined,
    ],
    ["no strict base64", { header: HEADER, body: { data: "b-2=", expectedVersion: 1 } }, INTERNAL, undefined],
    ["no part", {}, error("No updates provided"), undefined],
    ["two empty parts", { header: null, body: "" }, error("No updates provided"), undefined],
    ["a header without version", { header: { data: "aDI=" } }, error("Invalid header parameters"), undefined],
    ["a header of text", { header: "aDI=", body: BODY }, error("Invalid header parameters"), undefined],
    [
      "a body with data of null",
      { header: HEADER, body: { data: null, expectedVersion: 1 } },
      error("Invalid body parameters"),
      undefined,
    ],
    [
      "two bad parts, the header named first",
      { header: {}, body: {} },
      error("Invalid header parameters"),
      undefined,
    ],
  ])("of %s", async (_, parts, answer, announced) => {
    const { me, phone, stranger, close } = await scene();
    const artifact = draft();
    const { body: before } = await me.call("POST", "/v1/artifacts", artifact);
    expect(await phone.ask("artifact-update", { artifactId: artifact.id, ...parts })).toEqual(answer);
    const { body: after } = await me.call("GET", `/v1/artifacts/${artifact.id}`);
    const updates = await fired(phone);
    expect(updates[0]).toEqual([1, expect.objectContaining({ t: "new-artifact" })]);
    if (announced === undefined) {
      expect(after).toEqual(before);
      expect(updates).toHaveLength(1);
    } else {
      expect(updates.slice(1)).toEqual([
        [2, { t: "update-artifact", artifactId: artifact.id, ...announced }],
      ]);
      expect(after.seq).toBe(1);
      if ("body" in announced) expect(after.body).toBe(announced.body.value);
      expect(after.bodyVersion).toBe("body" in announced ? 2 : 1);
      expect(after.headerVersion).toBe("header" in announced ? 2 : 1);
    }
    expect(await fired(stranger)).toEqual([]);
    close();
  });

  test("socket and HTTP race for one version and exactly one of all wins", async () => {
    const { me, phone, close } = await scene();
    const artifact = draft();
    await phone.ask("artifact-create", artifact);
    const change = { artifactId: artifact.id, header: HEADER };
    const http = { header: HEADER.data, expectedHeaderVersion: 1 };
    const answers = await Promise.all(
      Array.from({ length: 6 }, async (_, n) =>
        n % 2 === 0
          ? (await phone.ask("artifact-update", change)).result === "success"
          : (await me.call("POST", `/v1/artifacts/${artifact.id}`, http)).body.success,
      ),
    );
    expect(answers.filter(Boolean)).toHaveLength(1);
    expect(await fired(phone)).toHaveLength(2);
    close();
  });

  test("the originator hears its own update before the acknowledgement", async () => {
    const { phone, close } = await scene();
    const artifact = draft();
    await phone.ask("artifact-create", artifact);
    await phone.ask("artifact-update", { artifactId: artifact.id, header: HEADER });
    expect(phone.updates.map(({ body }) => body.t)).toEqual(["new-artifact", "update-artifact"]);
    close();
  });
});

test("delete answers and announces once, and only to its owner", async () => {
  const { phone, stranger, close } = await scene();
  const artifact = draft();
  await phone.ask("artifact-create", artifact);
  const target = { artifactId: artifact.id };
  expect(await stranger.ask("artifact-delete", target)).toEqual(MISSING);
  expect(
    await stranger.ask("artifact-update", { ...target, header: { data: "", expectedVersion: 1 } }),
  ).toEqual(MISSING);
  expect(await phone.ask("artifact-delete", target)).toEqual({ result: "success" });
  expect(await phone.ask("artifact-delete", target)).toEqual(MISSING);
  expect(await phone.ask("artifact-read", target)).toEqual(MISSING);
  expect((await fired(phone)).slice(1)).toEqual([[2, { t: "delete-artifact", ...target }]]);
  expect(await fired(stranger)).toEqual([]);
  close();
});

const EVENTS = ["artifact-read", "artifact-create", "artifact-update", "artifact-delete"];
test.each(EVENTS)("%s names bad parameters and survives anything", async (event) => {
  const { phone, close } = await scene();
  for (const [payload, answer] of [
    [null, INTERNAL],
    [{}, INVALID],
    ["text", INVALID],
    [7, INVALID],
    [[], INVALID],
    [{ artifactId: "", id: "", header: "", body: "", dataEncryptionKey: "" }, INVALID],
    [{ artifactId: 5, id: 5, header: "", body: "", dataEncryptionKey: "" }, INVALID],
  ] as const) {
    expect([payload, await phone.ask(event, payload)]).toEqual([payload, answer]);
  }
  expect(await phone.ask(event)).toEqual(INTERNAL);
  expect(await fired(phone)).toEqual([]);
  close();
});

test.each(["header", "body", "dataEncryptionKey"])("a creation needs text as its %s", async (part) => {
  const { phone, close } = await scene();
  for (const [value, answer] of [
    [undefined, INVALID],
    [null, INVALID],
    [1, INVALID],
    ["a-_b", INTERNAL],
    ["YQ", INTERNAL],
  ] as const) {
    expect([value, await phone.ask("artifact-create", { ...draft(), [part]: value })]).toEqual([
      value,
      answer,
    ]);
  }
  expect(await fired(phone)).toEqual([]);
  close();
});

test("when the table cannot be read, every event answers an internal error", async () => {
  const { phone, close } = await scene();
  await withoutTable(server, "artifacts", async () => {
    const target = { artifactId: "a" };
    expect(await phone.ask("artifact-read", target)).toEqual(INTERNAL);
    expect(await phone.ask("artifact-create", draft())).toEqual(INTERNAL);
    expect(await phone.ask("artifact-update", { ...target, body: { data: "", expectedVersion: 1 } })).toEqual(
      INTERNAL,
    );
    expect(await phone.ask("artifact-delete", target)).toEqual(INTERNAL);
  });
  close();
});
