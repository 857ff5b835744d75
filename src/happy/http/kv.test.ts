// The key-value store: version rules, tombstones, all-or-nothing batches, listing by bytes, and the one update of each batch.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  type Account,
  accountWith,
  call,
  type Listener,
  newAccount,
} from "../../../test/support/happy-client.ts";
import { TEST_SECRET, type TestServer, testServer } from "../../../test/support/server.ts";
import { withoutTable } from "../../../test/support/without-table.ts";
import { serverKeys } from "../auth/server-keys.ts";
import { firstAfterPrefix } from "../store/kv.ts";

let server: TestServer;
beforeAll(async () => {
  server = await testServer();
});
afterAll(() => server.stop());

const account = () => newAccount(server.url);
type Mutation = readonly [key: string, value: string | null, version: number];
const mutate = async (owner: Account, ...mutations: Mutation[]) => {
  const { status, body } = await owner.call("POST", "/v1/kv", {
    mutations: mutations.map(([key, value, version]) => ({ key, value, version })),
  });
  return [status, body];
};
const get = async (owner: Account, key: string) => {
  const { status, body } = await owner.call("GET", `/v1/kv/${encodeURIComponent(key)}`);
  return [status, body];
};
const done = (...results: [string, number][]) => [
  200,
  { success: true, results: results.map(([key, version]) => ({ key, version })) },
];
const refused = (...errors: [string, number, string | null][]) => [
  409,
  {
    success: false,
    errors: errors.map(([key, version, value]) => ({ key, error: "version-mismatch", version, value })),
  },
];
const FAILED = [500, { error: "Failed to mutate values" }];
const MISSING = [404, { error: "Key not found" }];

async function batches(listener: Listener): Promise<unknown[]> {
  await listener.settled();
  return listener.updates.map(({ seq, body: { t, changes } }) => {
    expect(t).toBe("kv-batch-update");
    return [seq, changes.map(({ key, value, version }: Record<string, unknown>) => [key, value, version])];
  });
}

test("a key lives from -1 over 0 and 1 to tombstone 2, and comes back only from its tombstone's version", async () => {
  const [me, other] = [await account(), await account()];
  const [phone, session, stranger] = [
    await me.connect(),
    await me.connect({ clientType: "session-scoped", sessionId: "s" }),
    await other.connect(),
  ];
  expect(await get(me, "k")).toEqual(MISSING);
  expect(await mutate(me, ["k", "YQ==", 0])).toEqual(refused(["k", -1, null]));
  expect(await mutate(me, ["k", "YQ==", -1])).toEqual(done(["k", 0]));
  expect(await get(me, "k")).toEqual([200, { key: "k", value: "YQ==", version: 0 }]);
  expect(await mutate(me, ["k", "Yg==", -1])).toEqual(refused(["k", 0, "YQ=="]));
  expect(await mutate(me, ["k", "Yg==", 0])).toEqual(done(["k", 1]));
  expect(await mutate(me, ["k", null, 0.5])).toEqual(refused(["k", 1, "Yg=="]));
  expect(await mutate(me, ["k", null, 1])).toEqual(done(["k", 2]));
  expect(await get(me, "k")).toEqual(MISSING);
  expect(await mutate(me, ["k", "Yw==", -1])).toEqual(refused(["k", 2, null]));
  expect(await mutate(me, ["k", "Yw==", 2])).toEqual(done(["k", 3]));
  expect(await get(me, "k")).toEqual([200, { key: "k", value: "Yw==", version: 3 }]);
  expect(await batches(phone)).toEqual([
    [1, [["k", "YQ==", 0]]],
    [2, [["k", "Yg==", 1]]],
    [3, [["k", null, 2]]],
    [4, [["k", "Yw==", 3]]],
  ]);
  expect(await batches(session)).toEqual([]);
  expect(await batches(stranger)).toEqual([]);
  expect(await get(other, "k")).toEqual(MISSING);
  expect(await mutate(other, ["k", "eA==", -1])).toEqual(done(["k", 0]));
  expect(await get(me, "k")).toEqual([200, { key: "k", value: "Yw==", version: 3 }]);
  for (const listener of [phone, session, stranger]) listener.close();
});

describe("a batch", () => {
  test("is stored whole, in request order, with one update for all", async () => {
    const me = await account();
    await mutate(me, ["b", "YQ==", -1]);
    const phone = await me.connect();
    expect(await mutate(me, ["z", "eg==", -1], ["b", null, 0], ["a", "YQ==", -1])).toEqual(
      done(["z", 0], ["b", 1], ["a", 0]),
    );
    expect(await batches(phone)).toEqual([
      [
        2,
        [
          ["z", "eg==", 0],
          ["b", null, 1],
          ["a", "YQ==", 0],
        ],
      ],
    ]);
    phone.close();
  });

  const REFUSED: [string, Mutation[], unknown][] = [
    [
      "one stale key among good ones",
      [
        ["new", "YQ==", -1],
        ["k", "Yg==", 7],
        ["gone", null, -1],
      ],
      refused(["k", 0, "YQ=="], ["gone", 1, null]),
    ],
    [
      "the same new key twice",
      [
        ["new", "YQ==", -1],
        ["new", "Yg==", -1],
      ],
      FAILED,
    ],
    [
      "an update that is no strict base64",
      [
        ["new", "YQ==", -1],
        ["k", "a-_b", 0],
      ],
      FAILED,
    ],
    [
      "an unreadable first value of a key that is named twice",
      [
        ["k", "!", 0],
        ["k", "YQ==", 0],
      ],
      FAILED,
    ],
    [
      "a stale key beside an unreadable value",
      [
        ["k", "!", 0],
        ["gone", null, 0],
      ],
      refused(["gone", 1, null]),
    ],
  ];
  test.each(REFUSED)("with %s changes and announces nothing", async (_, mutations, answer) => {
    const me = await account();
    await mutate(me, ["k", "YQ==", -1], ["gone", "YQ==", -1]);
    await mutate(me, ["gone", null, 0]);
    const phone = await me.connect();
    expect(await mutate(me, ...mutations)).toEqual(answer as unknown[]);
    expect(await get(me, "new")).toEqual(MISSING);
    expect(await get(me, "k")).toEqual([200, { key: "k", value: "YQ==", version: 0 }]);
    expect(await batches(phone)).toEqual([]);
    phone.close();
  });

  test("may name an existing key twice: both become version + 1, the last value stays", async () => {
    const me = await account();
    await mutate(me, ["k", "YQ==", -1]);
    const phone = await me.connect();
    expect(await mutate(me, ["k", "Yg==", 0], ["k", "Yw==", 0])).toEqual(done(["k", 1], ["k", 1]));
    expect(await get(me, "k")).toEqual([200, { key: "k", value: "Yw==", version: 1 }]);
    expect(await batches(phone)).toEqual([
      [
        2,
        [
          ["k", "Yg==", 1],
          ["k", "Yw==", 1],
        ],
      ],
    ]);
    phone.close();
  });

  test("of many writers with the same version exactly one is taken", async () => {
    const me = await account();
    const answers = await Promise.all(Array.from({ length: 8 }, () => mutate(me, ["k", "YQ==", -1])));
    expect(answers.filter(([status]) => status === 200)).toHaveLength(1);
    expect(answers.filter(([status]) => status === 409)).toHaveLength(7);
    expect(await get(me, "k")).toEqual([200, { key: "k", value: "YQ==", version: 0 }]);
  });
});

describe("values", () => {
  test.each([
    ["not base64!!", "notbase6"],
    ["a-_b", "a+/b"],
    ["YQ", "YQ=="],
    ["!!", ""],
  ])("a new key reads %j leniently, as %j", async (given, stored) => {
    const me = await account();
    const phone = await me.connect();
    expect(await mutate(me, ["k", given, -1])).toEqual(done(["k", 0]));
    expect(await get(me, "k")).toEqual([200, { key: "k", value: stored, version: 0 }]);
    // Announced as it was sent.
    expect(await batches(phone)).toEqual([[1, [["k", given, 0]]]]);
    phone.close();
  });

  test.each([null, ""])("%j makes a tombstone, for a new key at version 0", async (nothing) => {
    const me = await account();
    const phone = await me.connect();
    expect(await mutate(me, ["k", nothing, -1])).toEqual(done(["k", 0]));
    expect(await mutate(me, ["k", "YQ==", -1])).toEqual(refused(["k", 0, null]));
    expect(await mutate(me, ["k", "YQ==", 0])).toEqual(done(["k", 1]));
    expect(await mutate(me, ["k", nothing, 1])).toEqual(done(["k", 2]));
    expect(await get(me, "k")).toEqual(MISSING);
    expect(await batches(phone)).toEqual([
      [1, [["k", nothing, 0]]],
      [2, [["k", "YQ==", 1]]],
      [3, [["k", nothing, 2]]],
    ]);
    phone.close();
  });
});

describe("reading", () => {
  const KEYS = [
    "a",
    "A",
    "a_b",
    "axb",
    "a%b",
    "ab",
    "b",
    "é",
    "\u{1f600}",
    "\uffee",
    "a\u{10ffff}x",
    "",
    "a/b",
  ];
  let me: Account;
  beforeAll(async () => {
    me = await account();
    await mutate(me, ...KEYS.map((key): Mutation => [key, "YQ==", -1]), ["a-gone", null, -1]);
  });
  const list = async (query: string) => {
    const { status, body } = await me.call("GET", `/v1/kv${query}`);
    expect(status).toBe(200);
    expect(Object.keys(body)).toEqual(["items"]);
    return body.items.map(({ key }: { key: string }) => key);
  };

  test.each([
    ["", ["", "A", "a", "a%b", "a/b", "a_b", "ab", "axb", "a\u{10ffff}x", "b", "é", "\uffee", "\u{1f600}"]],
    [
      "?prefix=",
      ["", "A", "a", "a%b", "a/b", "a_b", "ab", "axb", "a\u{10ffff}x", "b", "é", "\uffee", "\u{1f600}"],
    ],
    ["?prefix=a", ["a", "a%b", "a/b", "a_b", "ab", "axb", "a\u{10ffff}x"]],
    ["?prefix=A", ["A"]],
    ["?prefix=a_", ["a_b"]],
    ["?prefix=a%25", ["a%b"]],
    ["?prefix=%25", []],
    [`?prefix=${encodeURIComponent("a\u{10ffff}")}`, ["a\u{10ffff}x"]],
    // Tombstone a-gone, which sorts between the last two, takes no place.
    ["?prefix=a&limit=3", ["a", "a%b", "a/b"]],
    ["?limit=1", [""]],
  ])("GET /v1/kv%s lists by bytes, with the prefix taken literally", async (query, keys) => {
    expect(await list(query)).toEqual(keys);
  });

  test("without a limit 100 come, with one at most 1000", async () => {
    const many = await account();
    for (let n = 0; n < 11; n++) {
      const batch = Array.from({ length: 100 }, (_, i): Mutation => [`k${n * 100 + i}`, "YQ==", -1]);
      expect((await mutate(many, ...batch))[0]).toBe(200);
    }
    const count = async (query: string) => (await many.call("GET", `/v1/kv${query}`)).body.items?.length;
    expect([await count(""), await count("?limit=1000")]).toEqual([100, 1000]);
  });

  test.each([
    ["?limit=0", "querystring/limit Too small: expected number to be >=1"],
    ["?limit=", "querystring/limit Too small: expected number to be >=1"],
    ["?limit=1001", "querystring/limit Too big: expected number to be <=1000"],
    ["?limit=x", "querystring/limit Invalid input: expected number, received NaN"],
    ["?prefix=a&prefix=b", "querystring/prefix Invalid input: expected string, received array"],
  ])("GET /v1/kv%s is refused", async (query, message) => {
    const answer = await me.call("GET", `/v1/kv${query}`);
    expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
  });

  test("one key is found by its decoded name, the empty one too; a long name is no route at all", async () => {
    expect(await get(me, "a/b")).toEqual([200, { key: "a/b", value: "YQ==", version: 0 }]);
    expect(await get(me, "\u{1f600}")).toEqual([200, { key: "\u{1f600}", value: "YQ==", version: 0 }]);
    expect(await get(me, "")).toEqual([200, { key: "", value: "YQ==", version: 0 }]);
    expect(await get(me, "x".repeat(100))).toEqual(MISSING);
    const long = `/v1/kv/${"x".repeat(101)}`;
    expect(await get(me, "x".repeat(101))).toEqual([404, { error: "Not found", path: long, method: "GET" }]);
  });

  test("bulk gives what lives, each once", async () => {
    const { status, body } = await me.call("POST", "/v1/kv/bulk", { keys: ["b", "no", "A", "b", "a-gone"] });
    expect(status).toBe(200);
    expect(
      body.values.toSorted((x: { key: string }, y: { key: string }) => (x.key < y.key ? -1 : 1)),
    ).toEqual([
      { key: "A", value: "YQ==", version: 0 },
      { key: "b", value: "YQ==", version: 0 },
    ]);
    const other = await account();
    expect((await other.call("POST", "/v1/kv/bulk", { keys: ["b"] })).body).toEqual({ values: [] });
  });
});

describe("PUT and DELETE of one key", () => {
  test("with a version they compare, without one the last write wins, and each fires one update", async () => {
    const me = await account();
    const phone = await me.connect();
    const put = async (body: unknown) => {
      const answer = await me.call("PUT", "/v1/kv/a%2Fb", body);
      return [answer.status, answer.body];
    };
    const remove = async (query = "") => {
      const answer = await me.call("DELETE", `/v1/kv/a%2Fb${query}`);
      return [answer.status, answer.body];
    };
    const key = "a/b";
    expect(await remove()).toEqual(MISSING);
    expect(await remove("?version=-1")).toEqual(MISSING);
    expect(await put({ value: "YQ==", version: 3 })).toEqual(refused([key, -1, null]));
    expect(await put({ value: "YQ==", version: -1 })).toEqual([200, { success: true, key, version: 0 }]);
    expect(await put({ value: "Yg==" })).toEqual([200, { success: true, key, version: 1 }]);
    expect(await put({ value: "Yw==", version: 0 })).toEqual(refused([key, 1, "Yg=="]));
    expect(await put({ value: "a-_b" })).toEqual(FAILED);
    expect(await remove("?version=0")).toEqual(refused([key, 1, "Yg=="]));
    expect(await remove("?version=1")).toEqual([200, { success: true, version: 2 }]);
    expect(await remove()).toEqual(MISSING);
    expect(await put({ value: "Yw==" })).toEqual([200, { success: true, key, version: 3 }]);
    expect(await remove()).toEqual([200, { success: true, version: 4 }]);
    expect(await put({ value: null })).toEqual([200, { success: true, key, version: 5 }]);
    expect(await batches(phone)).toEqual([
      [1, [[key, "YQ==", 0]]],
      [2, [[key, "Yg==", 1]]],
      [3, [[key, null, 2]]],
      [4, [[key, "Yw==", 3]]],
      [5, [[key, null, 4]]],
      [6, [[key, null, 5]]],
    ]);
    phone.close();
  });

  test("somebody else's key is out of reach", async () => {
    const [me, other] = [await account(), await account()];
    await mutate(me, ["k", "YQ==", -1]);
    const answer = await other.call("DELETE", "/v1/kv/k");
    expect([answer.status, answer.body]).toEqual(MISSING);
    expect((await other.call("PUT", "/v1/kv/k", { value: "Yg==" })).body).toMatchObject({ version: 0 });
    expect(await get(me, "k")).toEqual([200, { key: "k", value: "YQ==", version: 0 }]);
  });

  test("a version that is no number is refused", async () => {
    const me = await account();
    const answer = await me.call("DELETE", "/v1/kv/k?version=x");
    expect([answer.status, answer.body.message]).toEqual([
      400,
      "querystring/version Invalid input: expected number, received NaN",
    ]);
  });
});

test.each([
  ["POST", "/v1/kv", {}, "body/mutations Invalid input: expected array, received undefined"],
  ["POST", "/v1/kv", { mutations: [] }, "body/mutations Too small: expected array to have >=1 items"],
  [
    "POST",
    "/v1/kv",
    { mutations: Array.from({ length: 101 }, (_, n) => ({ key: `${n}`, value: null, version: -1 })) },
    "body/mutations Too big: expected array to have <=100 items",
  ],
  [
    "POST",
    "/v1/kv",
    { mutations: [{ key: "k", version: "0" }] },
    "body/mutations/0/value Invalid input: expected string, received undefined, body/mutations/0/version Invalid input: expected number, received string",
  ],
  ["POST", "/v1/kv/bulk", { keys: [] }, "body/keys Too small: expected array to have >=1 items"],
  [
    "POST",
    "/v1/kv/bulk",
    { keys: Array.from({ length: 101 }, String) },
    "body/keys Too big: expected array to have <=100 items",
  ],
  ["PUT", "/v1/kv/k", { version: 0 }, "body/value Invalid input: expected string, received undefined"],
] as const)(
  "%s %s with a bad body is refused before the token is looked at",
  async (method, path, body, message) => {
    const answer = await call(server.url, undefined, method, path, body);
    expect([answer.status, answer.body]).toEqual([400, { error: "Error", message, statusCode: 400 }]);
  },
);

test("when the table cannot be read, every route answers its own 500", async () => {
  const me = await account();
  const one = { mutations: [{ key: "k", value: null, version: -1 }] };
  await withoutTable(server, "kv_entries", async () => {
    for (const [method, path, body, error] of [
      ["GET", "/v1/kv/k", undefined, "Failed to get value"],
      ["GET", "/v1/kv", undefined, "Failed to list items"],
      ["POST", "/v1/kv/bulk", { keys: ["k"] }, "Failed to get values"],
      ["POST", "/v1/kv", one, "Failed to mutate values"],
      ["PUT", "/v1/kv/k", { value: null }, "Failed to mutate values"],
      ["DELETE", "/v1/kv/k", undefined, "Failed to mutate values"],
    ] as const) {
      const answer = await me.call(method, path, body);
      expect([method, path, answer.status, answer.body]).toEqual([method, path, 500, { error }]);
    }
  });
  expect(await get(me, "k")).toEqual(MISSING);
});

test("an account that is not here has nothing and can store nothing", async () => {
  const ghost = accountWith(server.url, await serverKeys(TEST_SECRET).bearer.issue({ account: "ghost" }));
  expect(await get(ghost, "k")).toEqual(MISSING);
  expect((await ghost.call("GET", "/v1/kv")).body).toEqual({ items: [] });
  expect((await ghost.call("POST", "/v1/kv/bulk", { keys: ["k"] })).body).toEqual({ values: [] });
  expect(await mutate(ghost, ["k", "YQ==", -1])).toEqual(FAILED);
  expect((await ghost.call("DELETE", "/v1/kv/k")).status).toBe(404);
});

test.each([
  ["a", "b"],
  ["a\ud7ff", "a\ue000"],
  ["a\u{10ffff}\u{10ffff}", "b"],
  ["a\uffff", "a\u{10000}"],
  ["\u{10ffff}", undefined],
  ["", undefined],
])("everything starting with %j sorts before %j", (prefix, end) => {
  expect(firstAfterPrefix(prefix)).toBe(end);
});
