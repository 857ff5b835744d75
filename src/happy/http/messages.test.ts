// Messages over HTTP: stored exactly once for each localId, numbered without gaps, read in pages both ways, told to whoever is
// interested in the session and to nobody else (HTTP contract 6.5, 6.8, 6.9).
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { audience } from "../../../test/support/happy-audience.ts";
import { type Account, type Answer, newAccount } from "../../../test/support/happy-client.ts";
import { type TestServer, testServer } from "../../../test/support/server.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const MISSING = [404, { error: "Session not found" }];
const said = ({ status, body }: Answer) => [status, body];
type Message = { id: string; seq: number; localId: string | null; content?: unknown; createdAt: number };

async function session(): Promise<{ account: Account; sid: string; path: string }> {
  const account = await newAccount(server.url);
  const opened = await account.call("POST", "/v1/sessions", { tag: "t", metadata: "" });
  const sid: string = opened.body.session.id;
  return { account, sid, path: `/v3/sessions/${sid}/messages` };
}

const post = (account: Account, path: string, ...messages: [localId: string, content: string][]) =>
  account.call("POST", path, { messages: messages.map(([localId, content]) => ({ localId, content })) });

const numbered = ({ body }: Answer) => body.messages.map(({ seq, localId }: Message) => [seq, localId]);
const seqs = (body: { messages: Message[] }) => body.messages.map(({ seq }) => seq);
const contents = async (account: Account, path: string) =>
  (await account.call("GET", `${path}?limit=500`)).body.messages.map(({ content }: Message) => content);

describe("POST /v3/sessions/:sessionId/messages", () => {
  test("each localId is one message: within a request, across requests, and with its first content", async () => {
    const { account, sid, path } = await session();
    const all = await audience(account, sid);
    const first = await post(account, path, ["a", "one"], ["b", "two"], ["a", "again"]);
    expect(first.body).toEqual({
      messages: [1, 2].map((seq) => ({
        id: expect.stringMatching(/^c[a-z0-9]{24}$/),
        seq,
        localId: seq === 1 ? "a" : "b",
        createdAt: expect.any(Number),
        updatedAt: expect.any(Number),
      })),
    });
    const announced = (seq: number, number: number, localId: string, c: string) => [
      number,
      {
        t: "new-message",
        sid,
        message: {
          id: expect.any(String),
          seq,
          content: { t: "encrypted", c },
          localId,
          createdAt: expect.any(Number),
          updatedAt: expect.any(Number),
        },
      },
    ];
    const two = [announced(1, 2, "a", "one"), announced(2, 3, "b", "two")];
    // The session's own socket of the sender hears it too: only the socket event skips its sender.
    expect(await all.heard()).toEqual({ phone: two, session: two });

    expect(said(await post(account, path, ["b", "other"], ["a", "other"]))).toEqual([200, first.body]);
    expect(await all.heard()).toEqual({});

    const mixed = await post(account, path, ["c", "three"], ["a", "other"], ["d", ""], ["c", "other"]);
    expect(numbered(mixed)).toEqual([
      [1, "a"],
      [3, "c"],
      [4, "d"],
    ]);
    // An empty message is announced as well, unlike the original's.
    const more = [announced(3, 4, "c", "three"), announced(4, 5, "d", "")];
    expect(await all.heard()).toEqual({ phone: more, session: more });
    expect(await contents(account, path)).toEqual(
      ["one", "two", "three", ""].map((c) => ({ t: "encrypted", c })),
    );
    all.close();
  });

  test("a localId is unique in its session only", async () => {
    const { account, path } = await session();
    const other = await account.call("POST", "/v1/sessions", { tag: "u", metadata: "" });
    expect(numbered(await post(account, path, ["a", "x"]))).toEqual([[1, "a"]]);
    const otherPath = `/v3/sessions/${other.body.session.id}/messages`;
    expect(numbered(await post(account, otherPath, ["a", "x"]))).toEqual([[1, "a"]]);
  });

  test("eight writers with overlapping batches: every message once, numbers without gaps, told in order", async () => {
    const { account, sid, path } = await session();
    const phone = await account.connect();
    const answers = await Promise.all(
      Array.from({ length: 8 }, (_, writer) =>
        post(
          account,
          path,
          ...Array.from(
            { length: 50 },
            (_, index) => [`m${writer * 25 + index}`, `of ${writer}`] as [string, string],
          ),
        ),
      ),
    );
    expect(answers.map(({ status, body }) => [status, body.messages.length])).toEqual(
      Array(8).fill([200, 50]),
    );
    const { body } = await account.call("GET", `${path}?limit=500`);
    const expected = Array.from({ length: 225 }, (_, index) => index + 1);
    expect(seqs(body)).toEqual(expected);
    expect(new Set(body.messages.map(({ localId }: Message) => localId)).size).toBe(225);
    await phone.settled();
    expect(phone.updates.map(({ body }) => body.message.seq)).toEqual(expected);
    expect(phone.updates.map(({ seq }) => seq)).toEqual(expected.map((seq) => seq + 1));
    const ids = body.messages.map(({ id }: Message) => id);
    expect(ids).toEqual(ids.toSorted());
    expect((await account.call("GET", "/v1/sessions")).body.sessions[0]).toMatchObject({ id: sid, seq: 225 });
    phone.close();
  });

  test.each(["a\u0000b", "ü💡", "", "\\u0041", "x".repeat(2_000_000)])(
    "content number %# comes back to the byte",
    async (content) => {
      const { account, path } = await session();
      await post(account, path, ["a", content]);
      expect(await contents(account, path)).toEqual([{ t: "encrypted", c: content }]);
    },
  );

  test.each([
    ["no messages", { messages: [] }],
    [
      "101 messages",
      { messages: Array.from({ length: 101 }, (_, i) => ({ content: "", localId: String(i) })) },
    ],
    ["an empty localId", { messages: [{ content: "", localId: "" }] }],
    ["no localId", { messages: [{ content: "" }] }],
    ["null as localId", { messages: [{ content: "", localId: null }] }],
    ["content that is no text", { messages: [{ content: { t: "encrypted", c: "" }, localId: "a" }] }],
    [
      "one bad among good ones",
      {
        messages: [
          { content: "", localId: "a" },
          { content: 1, localId: "b" },
        ],
      },
    ],
    ["a list", []],
  ])("%s is refused, and nothing is stored", async (_name, body) => {
    const { account, path } = await session();
    const answer = await account.call("POST", path, body);
    expect([answer.status, answer.body]).toMatchObject([400, { error: "Error", statusCode: 400 }]);
    expect(await contents(account, path)).toEqual([]);
  });

  test("100 messages are taken", async () => {
    const { account, path } = await session();
    const messages = Array.from({ length: 100 }, (_, i) => [String(i), "c"] as [string, string]);
    expect((await post(account, path, ...messages)).body.messages).toHaveLength(100);
  });

  test("a stranger can neither read nor write, and nobody hears of the attempt", async () => {
    const { account, sid, path } = await session();
    const all = await audience(account, sid);
    expect(said(await post(all.stranger, path, ["a", "x"]))).toEqual(MISSING);
    expect(said(await all.stranger.call("GET", path))).toEqual(MISSING);
    expect(said(await all.stranger.call("GET", `/v1/sessions/${sid}/messages`))).toEqual(MISSING);
    expect(await all.heard()).toEqual({});
    expect(await contents(account, path)).toEqual([]);
    all.close();
  });
});

describe("GET /v3/sessions/:sessionId/messages", () => {
  let account: Account;
  let path: string;
  beforeAll(async () => {
    ({ account, path } = await session());
    const messages = Array.from({ length: 7 }, (_, i) => [String(i + 1), `c${i + 1}`] as [string, string]);
    await post(account, path, ...messages);
  });

  test.each([
    ["", [1, 2, 3, 4, 5, 6, 7], false],
    ["after_seq=0", [1, 2, 3, 4, 5, 6, 7], false],
    ["after_seq=", [1, 2, 3, 4, 5, 6, 7], false],
    ["limit=3", [1, 2, 3], true],
    ["after_seq=3&limit=3", [4, 5, 6], true],
    ["after_seq=4&limit=3", [5, 6, 7], false],
    ["after_seq=6", [7], false],
    ["after_seq=7", [], false],
    ["after_seq=2147483647", [], false],
    ["after_seq=9007199254740991", [], false],
    ["before_seq=2147483647&limit=100", [7, 6, 5, 4, 3, 2, 1], false],
    ["before_seq=2147483648&limit=2", [7, 6], true],
    ["before_seq=9007199254740991&limit=7", [7, 6, 5, 4, 3, 2, 1], false],
    ["before_seq=4&limit=2", [3, 2], true],
    ["before_seq=3&limit=2", [2, 1], false],
    ["before_seq=1", [], false],
    ["after_seq=5&unknown=1&unknown=2", [6, 7], false],
    ["after_seq=0x5", [6, 7], false],
    ["limit=500", [1, 2, 3, 4, 5, 6, 7], false],
  ])("?%s gives %j", async (query, expected, hasMore) => {
    const { status, body } = await account.call("GET", `${path}?${query}`);
    expect([status, seqs(body), body.hasMore]).toEqual([200, expected, hasMore]);
    for (const message of body.messages)
      expect(message).toEqual({
        id: expect.any(String),
        seq: message.seq,
        content: { t: "encrypted", c: `c${message.seq}` },
        localId: String(message.seq),
        createdAt: expect.any(Number),
        updatedAt: message.createdAt,
      });
  });

  test.each([
    "after_seq=-1",
    "before_seq=0",
    "before_seq=",
    "after_seq=1.5",
    "after_seq=Infinity",
    "before_seq=-Infinity",
    "after_seq=NaN",
    "after_seq=1e300",
    "before_seq=9007199254740993",
    `after_seq=${"9".repeat(400)}`,
    "after_seq=x",
    "limit=0",
    "limit=501",
    "limit=1e9",
    "after_seq=1&before_seq=2",
    "after_seq=&before_seq=2",
    "after_seq=1&after_seq=2",
  ])("query number %# is refused", async (query) => {
    const { status, body } = await account.call("GET", `${path}?${query}`);
    expect([status, body]).toMatchObject([400, { error: "Error", statusCode: 400 }]);
    expect(body.message).toStartWith("querystring/");
  });

  test("an unknown session is missing", async () => {
    expect(said(await account.call("GET", "/v3/sessions/none/messages"))).toEqual(MISSING);
  });
});

describe("GET /v1/sessions/:sessionId/messages", () => {
  test("the newest 150, newest first, from HTTP and from sockets", async () => {
    const { account, sid, path } = await session();
    const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
    for (let batch = 0; batch < 2; batch++)
      await post(
        account,
        path,
        ...Array.from({ length: 75 }, (_, i) => [`${batch}.${i}`, "c"] as [string, string]),
      );
    cli.socket.emit("message", { sid, message: "last" });
    await cli.settled();
    const { status, body } = await account.call("GET", `/v1/sessions/${sid}/messages?limit=1`);
    expect([status, seqs(body)]).toEqual([200, Array.from({ length: 150 }, (_, index) => 151 - index)]);
    expect(Object.keys(body)).toEqual(["messages"]);
    expect(body.messages[0]).toMatchObject({ content: { t: "encrypted", c: "last" }, localId: null });
    cli.close();
  });

  test("an unknown session is missing", async () => {
    const { account } = await session();
    expect(said(await account.call("GET", "/v1/sessions/none/messages"))).toEqual(MISSING);
  });
});

describe("the same messages over a socket", () => {
  test("share numbers and localIds with HTTP; an empty localId is taken once", async () => {
    const { account, sid, path } = await session();
    const cli = await account.connect({ clientType: "session-scoped", sessionId: sid });
    const send = (message: unknown) => {
      cli.socket.emit("message", message);
      return cli.settled();
    };
    await post(account, path, ["a", "http"]);
    await send({ sid, message: "socket", localId: "a" });
    await send({ sid, message: "socket", localId: "b" });
    expect(numbered(await post(account, path, ["b", "http"]))).toEqual([[2, "b"]]);
    await send({ sid, message: "first", localId: "" });
    await send({ sid, message: "second", localId: "" });
    await send({ sid, message: "number", localId: 5 });
    for (const refused of [
      null,
      {},
      { sid },
      { sid, message: null },
      { sid, message: 1 },
      { sid: 1, message: "x" },
    ])
      await send(refused);
    const { body } = await account.call("GET", path);
    expect(
      body.messages.map(({ seq, localId, content }: Message & { content: { c: string } }) => [
        seq,
        localId,
        content.c,
      ]),
    ).toEqual([
      [1, "a", "http"],
      [2, "b", "socket"],
      [3, "", "first"],
      [4, null, "number"],
    ]);
    cli.close();
  });
});
